"""Names, versions and folders of a model's repository, and comparisons of its files with its index.

The index, repository.json, has the name of the model in Triton and the SHA-256 of every file.
"""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from slipway.core.artifacts import sha256, tree_digest
from slipway.core.errors import SlipwayError
from slipway.core.records import read_record, require_record

# The sentence that is printed after every rollback.
DEPLOYED_AGAIN = (
    "The next `snakemake --cores 1 deploy` serves again the version that was rolled back, since config.yaml and "
    "results/ still have it: put the checkpoint or the setting right first"
)
# The required entries of a repository's index.
INDEX = {"name": str, "files": {str: str}}
# The index of a published version, beside its folder.
PUBLISHED = {"index_sha256": str, "index": INDEX}
# This replaces the SHA-256 of links and of unreadable files. No record has this value, so it always differs.
UNREADABLE = "unreadable"


def served_name(model: str) -> str:
    """Return the name in Triton of a model of config.yaml: <model>_trt, as rule `write_repository` writes it."""
    return f"{model}_trt"


def version_of(index_sha256: str) -> str:
    """Return the name of a repository's version: "v" and the first 12 digits of the SHA-256 of repository.json."""
    return f"v{index_sha256[:12]}"


def repository_path(claim_path: str, model: str, target: str, version: str = "") -> str:
    """Return claim_path/model/target/version, the folder of a published version.

    The folder is relative to the storage: a persistent volume claim or an object store. `claim_path` is
    `deploy.cluster.claim_path` of config.yaml. A target is a kind of GPU or CPU that config.yaml names. Without
    `version`, return claim_path/model/target: the folder of all versions of the model for the target.
    """
    return "/".join(filter(None, (part.strip("/") for part in (claim_path, model, target, version))))


def publication_number(record: Path) -> int:
    """Return the number in the settings of the publishing job. If it changes, Snakemake publishes again.

    `record` is published.json, the record of the last publication. While the published folder is unchanged, its number
    is returned. If files are gone or damaged, the next number is returned. An object store is not checked, because this
    would need a connection. Without a record, the number is 1.
    """
    last = read_record(record, {"key": dict, "destination": str, "version": str})
    if last is None:
        return 1
    number, destination = last["key"].get("publication", 1), last["destination"].removeprefix("file://")
    is_published = "://" in destination or _is_published(Path(destination) / last["version"], last["index_sha256"])
    return number if is_published else number + 1


def _is_published(version: Path, index_sha256: str) -> bool:
    """Say whether a version's folder has exactly the files in the index beside it, and the index has this SHA-256."""
    document = read_record(version.with_name(f"{version.name}.json"), PUBLISHED)
    if document is None or document["index_sha256"] != index_sha256:
        return False
    index = document["index"]
    return contents(version) == {f"{index['name']}/{file}": digest for file, digest in index["files"].items()}


def read_index(repository: Path, index: Path) -> dict:
    """Return the content of the index file: {"name": name in Triton, "files": {path: SHA-256}, ...}.

    Raises SlipwayError if the files of the repository differ from the index.
    """
    content = require_record(index, INDEX, "remove it and run again")
    folder = repository / content["name"]
    if changes := differences(tree_digest(folder), content["files"]):
        raise SlipwayError(
            f"{folder} is not what {index.name} says: edited or truncated ({changes}); remove {index} and run again"
        )
    return content


def contents(folder: Path) -> dict[str, str]:
    """Return {path below `folder`: SHA-256} of all files, also of hidden files and links; {} if no folder exists."""
    return {
        path.relative_to(folder).as_posix(): _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def differences(present: Mapping[str, str], recorded: Mapping[str, str]) -> str:
    """Return the differences between two {path: SHA-256} as text, such as "edited: a, b; missing: c"; "" if equal."""
    kinds = {
        "edited": [path for path in recorded if path in present and present[path] != recorded[path]],
        "missing": [path for path in recorded if path not in present],
        "not part of it": [path for path in present if path not in recorded],
    }
    return "; ".join(f"{kind}: {', '.join(sorted(paths))}" for kind, paths in kinds.items() if paths)


def remove_bytecode(folder: Path) -> None:
    """Remove compiled Python files, which Python would run in place of the verified source files."""
    for cache in list(folder.rglob("__pycache__")):
        if cache.is_dir() and not cache.is_symlink():
            shutil.rmtree(cache)


def _digest(path: Path) -> str:
    with contextlib.suppress(OSError):
        if path.is_file() and not path.is_symlink():
            return sha256(path)
    return UNREADABLE
