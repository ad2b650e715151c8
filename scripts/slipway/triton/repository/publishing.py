"""Publish versions of a model repository to storage that a cluster reads: copy, read back, then write the index.

The index of a repository, repository.json, has the name of the model in Triton and the SHA-256 of every file. The name
of a version comes from the SHA-256 of its index. The ordinal of a version is higher than those of all older versions.

<destination>/<version>/<name>/...    the files of a version, as Triton reads them
<destination>/<version>.sig           the version's signature, if it is signed
<destination>/<version>.json          its index and its ordinal; a version without this file is not published
"""

import json
import re
import tempfile
from collections.abc import Collection
from pathlib import Path

from slipway.core.artifacts import sha256
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError, amended
from slipway.triton.repository.storage import Storage
from slipway.triton.repository.versions import differences, read_index, repository_path, version_of

_VERSION = re.compile(r"v[0-9a-f]{12}")


def destination_of(to: str, claim_path: str, model: str, target: str) -> str:
    """Return the address to/claim_path/model/target, where the published versions of a model for a target are.

    `to` is a folder or the address of an object store. `claim_path` is a path in it, `deploy.cluster.claim_path` of
    config.yaml. A target is a kind of GPU or CPU that config.yaml names. Raises SlipwayError if `to` is a folder that
    does not exist, such as a volume that is not mounted.
    """
    storage = Storage(to)
    storage.require_folder()
    return storage.below(repository_path(claim_path, model, target))


def publish(
    folder: Path,
    index: Path,
    destination: str,
    keep: int,
    protected: Collection[str] = (),
    *,
    signature: Path | None = None,
) -> dict:
    """Publish a repository as a new version, then remove the oldest versions, so that `keep` versions remain.

    `folder` has the model folder, `index` is its repository.json, and `destination` comes from `destination_of`.
    `signature` is the file with the version's signature; None if it is not signed. A complete version is not copied
    again. The versions whose names are in `protected` stay, at any age.

    Returns {"destination", "version", "files", "bytes", "copied", "pruned"}: "files" is the number of files, "copied"
    whether any file was copied, "pruned" the names of removed versions. Raises SlipwayError if the publication fails.
    Then the new version has no index, unless it was complete before, and the other versions are unchanged.
    """
    with amended(after=". The versions that were published before are as they were"):
        content = read_index(folder, index)
        storage = Storage(destination)
        version, copied = _put_version(storage, folder, content, sha256(index), signature)
    storage.clear_up(version)
    sizes = [(folder / content["name"] / file).stat().st_size for file in content["files"]]
    summary = {"destination": storage.address, "version": version, "files": len(sizes), "bytes": sum(sizes)}
    return summary | {"copied": copied, "pruned": _prune(storage, version, keep, protected)}


def require_published(destination: str, version: str, content: dict, public_key: Path | None = None) -> None:
    """Raise SlipwayError unless a published version has exactly the files that its index lists, unchanged.

    `destination` comes from `destination_of`. `version` is the name of the version, and `content` is its index, the
    JSON of repository.json. With a `public_key`, the version's signature is verified, too. For this, the published
    files are copied to a temporary folder.
    """
    storage = Storage(destination)
    wanted = _files(version, content)
    changed = differences(_present(storage, version), wanted)
    if (_document(storage, version) or {}).get("index") != content:
        changed = "; ".join(filter(None, [changed, f"edited or missing: {version}.json"]))
    if changed:
        raise SlipwayError(f"{storage.below(version)} is not what was published ({changed})")
    if public_key:
        _require_signed(storage, version, wanted, public_key)


def _require_signed(storage: Storage, version: str, files: Collection[str], public_key: Path) -> None:
    from slipway.triton.repository.signing import verify  # only here, since it takes half a second to import

    signature = storage.read(f"{version}.sig")
    if signature is None:
        raise SlipwayError(f"{storage.below(version)} is not signed: {version}.sig does not exist beside it")
    with tempfile.TemporaryDirectory() as folder:
        for name in files:
            storage.get(name, Path(folder) / name)
        own = Path(folder) / f"{version}.sig"
        own.write_bytes(signature)
        try:
            verify(Path(folder) / version, public_key, own)
        except SlipwayError as error:
            raise SlipwayError(str(error).replace(folder, storage.address)) from None


def _put_version(
    storage: Storage, folder: Path, content: dict, digest: str, signature: Path | None
) -> tuple[str, bool]:
    """Publish a version and make it the newest. Return (name of the version, whether a file was copied).

    `folder` is the repository, `content` its index (the JSON of repository.json), and `digest` the SHA-256 of the index
    file. `signature` is the file with its signature, or None.
    """
    version, listed = version_of(digest), storage.entries()
    documents = _documents(storage, listed)
    newest = max((document["ordinal"] for name, document in documents.items() if name != version), default=0)
    document = {"version": version, "ordinal": newest + 1, "index_sha256": digest, "index": content}
    published, files = documents.get(version), _files(version, content)
    copied = not _is_same(published, document) or _present(storage, version) != files
    if copied:
        # If the index was not listed above, another process has published the version meanwhile, and its index stays.
        if f"{version}.json" in listed:
            storage.remove(f"{version}.json")
        if storage.files(version) - set(files):
            storage.remove_folder(version)
        # After a killed publication, only the missing files are copied.
        for name, file_digest in files.items():
            _put(storage, folder / name.removeprefix(f"{version}/"), name, file_digest)
    if signature:
        _put(storage, signature, f"{version}.sig", sha256(signature))
    if copied or published is None or published["ordinal"] <= newest:
        _put_index(storage, document)
    return version, copied


def _files(version: str, content: dict) -> dict[str, str]:
    """Return {path below the destination: SHA-256} of the files that a version must have, by its index `content`."""
    return {f"{version}/{content['name']}/{path}": digest for path, digest in content["files"].items()}


def _present(storage: Storage, version: str) -> dict[str, str]:
    """Return {path: SHA-256} of the files of a published version, read back; "gone" for a file that has disappeared."""
    return {name: storage.sha256(name) or "gone" for name in storage.files(version)}


def _put(storage: Storage, source: Path, name: str, digest: str) -> None:
    """Copy the file `source` to `name` in the storage, unless it has this file already, and read the copy back.

    `digest` is the SHA-256 of the file. Raises SlipwayError if that of the copy differs.
    """
    if storage.sha256(name) != digest:
        storage.put(source, name)
        if storage.sha256(name) != digest:
            raise _not_arrived(storage, name)


def _put_index(storage: Storage, document: dict) -> None:
    """Write the JSON file of a version (see `_documents`), and read it back.

    If it differs, remove it and raise SlipwayError.
    """
    name = f"{document['version']}.json"
    storage.write(name, (json.dumps(document, indent=2) + "\n").encode())
    if not _is_same(_document(storage, document["version"]), document):
        storage.remove(name)
        raise _not_arrived(storage, name)


def _is_same(published: dict | None, document: dict) -> bool:
    """Say whether two JSON files of versions (see `_documents`) are equal, except for their ordinals."""
    return published is not None and published | {"ordinal": document["ordinal"]} == document


def _not_arrived(storage: Storage, name: str) -> SlipwayError:
    return SlipwayError(
        f"{storage.below(name)}, read back, is not what was sent: the disk is full, the connection is faulty, or "
        "somebody edits the file; free space, and run again"
    )


def _documents(storage: Storage, listed: Collection[str]) -> dict[str, dict]:
    """Return {version: content of its JSON file} of the published versions; other JSON files are ignored.

    `listed` are the names of the files in the storage. The content is {"version": its name, "ordinal": a number that is
    higher for a later publication, "index_sha256", "index": the JSON of repository.json}.
    """
    names = [name.removesuffix(".json") for name in listed if name.endswith(".json")]
    return {name: document for name in names if _VERSION.fullmatch(name) and (document := _document(storage, name))}


def _document(storage: Storage, version: str) -> dict | None:
    try:
        document = json.loads(storage.read(f"{version}.json") or b"null")
    except ValueError:
        return None
    return document if isinstance(document, dict) and isinstance(document.get("ordinal"), int) else None


def _prune(storage: Storage, own: str, keep: int, protected: Collection[str]) -> list[str]:
    """Remove the versions with the lowest ordinals, so that `keep` versions remain. Return the removed names.

    The new version `own` is never removed, nor those in `protected`, nor a version that another process published at
    the same moment. A failure is only reported: the next publication tries again.
    """
    try:
        listed = storage.entries()
        ordinals = {name: document["ordinal"] for name, document in _documents(storage, listed).items()}
    except SlipwayError as error:
        progress(f"  WARNING: no old version was removed: {error}")
        return []
    _tell_unfinished(storage, listed, ordinals)
    by_age = sorted(ordinals, key=lambda name: (ordinals[name], name == own, name))
    at_once = {name for name in by_age if ordinals[name] == ordinals.get(own)}
    spared = {own, *protected, *at_once, *by_age[-keep:]}
    return [name for name in by_age if name not in spared and _remove_version(storage, name, ordinals[name])]


def _remove_version(storage: Storage, version: str, ordinal: int) -> bool:
    """Remove a version, its index first. Say whether it was removed.

    If its ordinal is no longer `ordinal`, the version was published again meanwhile, and stays.
    """
    try:
        if (_document(storage, version) or {}).get("ordinal") != ordinal:
            return False
        for name in (f"{version}.json", f"{version}.sig"):
            storage.remove(name)
        storage.remove_folder(version)
    except SlipwayError as error:
        progress(f"  WARNING: version {version} is old, but was not removed whole: {error}")
        return False
    return True


def _tell_unfinished(storage: Storage, listed: dict[str, bool], published: Collection[str]) -> None:
    for name, is_folder in listed.items():
        if is_folder and _VERSION.fullmatch(name) and name not in published:
            progress(
                f"  WARNING: {storage.below(name)} has no index: its publication was killed, or still runs. "
                "Publishing that version again completes it; if nobody will, remove the folder"
            )
