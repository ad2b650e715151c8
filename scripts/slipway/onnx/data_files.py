"""Find the files beside an ONNX file that hold its weights. ONNX is imported only if the file names such files."""

import mmap
from pathlib import Path

from slipway.core.errors import SlipwayError

# The name of the entry that says in which file a tensor's data are.
LOCATION = "location"


def data_names(path: str | Path) -> list[str]:
    """Return the names of the files beside an ONNX file that hold its weights, in the order of their first use.

    Raises SlipwayError if the file or one beside it is missing, or if it is no ONNX file.
    """
    path = Path(path)
    if not path.is_file():
        raise SlipwayError(f"{path} does not exist; correct `weights` in config.yaml")
    if not path.stat().st_size:
        raise SlipwayError(f"{path} is empty; copy it again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(LOCATION.encode()) < 0:
            return []
    from slipway.onnx.foreign_file import names_of_data, parsed  # only here: planning imports no onnx without need

    names = names_of_data(parsed(path))
    for name in names:
        require_beside(path, name)
    return names


def require_beside(path: Path, name: str) -> None:
    """Raise SlipwayError unless a file of weights is in the model's own folder."""
    folder = path.parent.resolve()
    file = folder / name
    if Path(name).is_absolute() or not file.resolve().is_relative_to(folder):
        raise SlipwayError(
            f"{path} has weights in {name}, outside of its own folder; save it again with all files in one folder "
            "(onnx.save(model, path, save_as_external_data=True, location='weights.bin'))"
        )
    if not file.is_file():
        raise SlipwayError(f"{path} has weights in {name}, which is not beside it; copy this file there, too")
