"""A model's repository: its name in Triton, its versions with their folders, and their files compared with an index."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from slipway.core.artifacts import sha256, tree_digest
from slipway.core.errors import SlipwayError
from slipway.core.records import read_record, require_record

# Printed after every rollback.
DEPLOYED_AGAIN = (
    "The next `snakemake --cores 1 deploy` serves again the version that was rolled back, since config.yaml and "
    "results/ still have it: put the checkpoint or the setting right first"
)
# The required entries of a repository's index.
INDEX = {"name": str, "files": {str: str}}
# The index of a published version, beside its folder.
PUBLISHED = {"index_sha256": str, "index": INDEX}
# The value in place of a SHA-256 for a link and for a file that cannot be read. No record has it, so it always differs.
UNREADABLE = "unreadable"


def served_name(model: str) -> str:
    """Return the name of a model in Triton. Rule `write_repository` in rules/repository.smk has the same name."""
    return f"{model}_trt"


def version_of(index_sha256: str) -> str:
    """Return the name of the version whose index has this SHA-256."""
    return f"v{index_sha256[:12]}"


def repository_path(claim_path: str, model: str, target: str, version: str = "") -> str:
    """Return claim_path/model/target/version: the folder of one version, relative to the claim or object store.

    Without `version`, return claim_path/model/target: the folder of all the model's versions for the target.
    """
    return "/".join(filter(None, (part.strip("/") for part in (claim_path, model, target, version))))


def publication_number(record: Path) -> int:
    """Return the number of a publication that is made now; `record` is the record of the last one.

    The number stays the same while the published files are in their folder unchanged. Once they are gone or damaged,
    the next number is returned, so the record is stale and Snakemake publishes again. An object store is not checked,
    because that would take a connection.
    """
    last = read_record(record, {"key": dict, "destination": str, "version": str})
    if last is None:
        return 1
    number, destination = last["key"].get("publication", 1), last["destination"].removeprefix("file://")
    is_published = "://" in destination or _is_published(Path(destination) / last["version"], last["index_sha256"])
    return number if is_published else number + 1


def _is_published(version: Path, index_sha256: str) -> bool:
    """Say whether a version is in its folder unchanged, with the index of this SHA-256 beside it."""
    document = read_record(version.with_name(f"{version.name}.json"), PUBLISHED)
    if document is None or document["index_sha256"] != index_sha256:
        return False
    index = document["index"]
    return contents(version) == {f"{index['name']}/{file}": digest for file, digest in index["files"].items()}


def read_index(repository: Path, index: Path) -> dict:
    """Return a repository's index; raise SlipwayError if the repository does not match it."""
    content = require_record(index, INDEX, "remove it and run again")
    folder = repository / content["name"]
    if changes := differences(tree_digest(folder), content["files"]):
        raise SlipwayError(
            f"{folder} is not what {index.name} says: edited or truncated ({changes}); remove {index} and run again"
        )
    return content


def contents(folder: Path) -> dict[str, str]:
    """Return {path below `folder`: SHA-256} of every file, hidden files and links too; {} if the folder is absent."""
    return {
        path.relative_to(folder).as_posix(): _digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def differences(present: Mapping[str, str], recorded: Mapping[str, str]) -> str:
    """Return the differences of {path: SHA-256} from its record, as text such as "edited: a, b; missing: c", or ""."""
    kinds = {
        "edited": [path for path in recorded if path in present and present[path] != recorded[path]],
        "missing": [path for path in recorded if path not in present],
        "not part of it": [path for path in present if path not in recorded],
    }
    return "; ".join(f"{kind}: {', '.join(sorted(paths))}" for kind, paths in kinds.items() if paths)


def remove_bytecode(folder: Path) -> None:
    """Remove compiled bytecode: Python would run it in place of the compared files."""
    for cache in list(folder.rglob("__pycache__")):
        if cache.is_dir() and not cache.is_symlink():
            shutil.rmtree(cache)


def _digest(path: Path) -> str:
    with contextlib.suppress(OSError):
        if path.is_file() and not path.is_symlink():
            return sha256(path)
    return UNREADABLE
