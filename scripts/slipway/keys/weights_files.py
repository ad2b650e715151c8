"""Find the kind of the file in `weights`, by its name and content: a state dict, or a kind of program.

A program is a file with the network inside. This module does not import PyTorch, since the Snakefile imports this
module.
"""

import zipfile
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.storage.addresses import file_name, is_address

# {kind of program, which is the name of its module in slipway.models.programs: the kind in words}
PROGRAMS = {
    "exported_program": "an exported program",
    "torchscript": "a TorchScript archive",
    "onnx_file": "an ONNX file",
}
# {suffix that only programs of a kind have: the kind}
_BY_SUFFIX = {".pt2": "exported_program", ".ts": "torchscript", ".torchscript": "torchscript", ".onnx": "onnx_file"}
WEIGHTS_SUFFIXES = (".pth", ".pt", ".bin", ".tar", ".ckpt", ".safetensors", *_BY_SUFFIX)
# The entry that every archive of torch.export.save has: from PyTorch 2.8 on, and before.
_OF_PT2 = ("archive_format", "serialized_exported_program.json")
_REMEDIES = {
    "exported_program": "save it with torch.export.save(torch.export.export(model.eval(), inputs), path)",
    "torchscript": "save it with torch.jit.script(model.eval()).save(path)",
}


def program_kind(path: str) -> str | None:
    """Return the kind of a file with the network inside, such as "onnx_file"; None for a state dict or another file.

    The kind is a key of PROGRAMS. If only such files have the suffix, the suffix decides, else the content. `path` may
    be an address in storage; then the content is not known yet.
    """
    return _BY_SUFFIX.get(Path(file_name(path)).suffix) or _kind_by_content(_entries(path))


def require_sound(path: str, kind: str, where: str) -> None:
    """Raise SlipwayError if the content of a weights file does not match `kind`, the kind that its suffix states.

    `kind` is a key of PROGRAMS. `where` begins the message, such as "config: `models.m.weights`".
    """
    if kind not in _REMEDIES or is_address(path) or _kind_by_content(entries := _entries(path)) == kind:
        return
    state = "is truncated or damaged"
    if other := _kind_by_content(entries):
        state = f"is {PROGRAMS[other]}"
    elif "data.pkl" in entries:
        state = "holds the values of torch.save, such as a state dict"
    raise SlipwayError(
        f"{where} is {path!r}, by its name {PROGRAMS[kind]}, but the file {state}; copy it again, give it its own "
        f"suffix, or {_REMEDIES[kind]}"
    )


def _kind_by_content(entries: set[str]) -> str | None:
    if entries.intersection(_OF_PT2):
        return "exported_program"
    return "torchscript" if {"constants.pkl", "code"} <= entries else None


def _entries(path: str) -> set[str]:
    """Return the names in the top folder of a zip file and in its subfolders; empty if it is missing or no zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [name.split("/") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return set()
    return {name for part in parts for name in part[:2]}
