"""Check that a stored version is unchanged since its deployment: a record outside of its folder has each file's hash.

<model>/deploy/<to>/versions.json          {number of a version: {file of it: SHA-256}}
"""

from pathlib import Path

from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.core.records import read_record
from slipway.triton.repository.contents import contents, differences, remove_bytecode

RECORD = "versions.json"


def seal(folder: Path, number: int) -> None:
    """Record the present SHA-256 of every file of a version stored in `folder`."""
    remove_bytecode(folder / str(number))  # of a server that was started from there
    write_json(folder / RECORD, _recorded(folder) | {str(number): contents(folder / str(number))})


def forget(folder: Path, numbers: list[int]) -> None:
    """Remove versions from the record."""
    write_json(
        folder / RECORD, {number: files for number, files in _recorded(folder).items() if int(number) not in numbers}
    )


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the versions that are recorded."""
    return [int(number) for number in _recorded(folder)]


def changes(folder: Path, number: int) -> str:
    """Return the differences of a version from its record, as text; "" if there are none."""
    recorded = _recorded(folder).get(str(number))
    if recorded is None:
        return "its files were never recorded"
    remove_bytecode(folder / str(number))
    return differences(contents(folder / str(number)), recorded)


def require_whole(folder: Path, number: int) -> None:
    """Raise SlipwayError unless a version has exactly the files that were recorded."""
    changed = changes(folder, number)
    if changed:
        raise SlipwayError(f"{folder / str(number)} is not what was proven ({changed}), so it is not deployed again")


def _recorded(folder: Path) -> dict[str, dict[str, str]]:
    """Return the record; a damaged one counts as a missing one, and then no rollback takes the earlier versions."""
    found = read_record(folder / RECORD, {str: {str: str}}) or {}
    return {number: files for number, files in found.items() if number.isdecimal()}
