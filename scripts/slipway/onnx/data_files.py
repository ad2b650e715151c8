"""Find the files beside an ONNX file that hold its weights. ONNX is imported only if the file names such files."""

import mmap
from pathlib import Path

from slipway.core.errors import SlipwayError

# The key in a tensor's entry for external data that names the data file.
_LOCATION = b"location"


def data_names(path: str | Path) -> list[str]:
    """Return the names of the data files beside an ONNX file, which hold its weights, in the order of their first use.

    Raises SlipwayError if the ONNX file or a data file is missing, or if the file is no ONNX file.
    """
    path = Path(path)
    if not path.is_file():
        raise SlipwayError(f"{path} does not exist; correct `weights` in config.yaml")
    if not path.stat().st_size:
        raise SlipwayError(f"{path} is empty; copy it again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_LOCATION) < 0:
            return []
    # Only here: planning imports no onnx without need.
    from slipway.onnx.foreign_file import parsed, require_beside
    from slipway.onnx.graph_walk import names_of_data

    names = names_of_data(parsed(path))
    for name in names:
        require_beside(path, name)
    return names
