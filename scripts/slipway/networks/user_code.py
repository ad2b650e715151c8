"""The line of the user's own code that an error comes from."""

import linecache
import re
import sysconfig
import traceback
from pathlib import Path

from slipway.core.errors import causes

_SLIPWAY = Path(__file__).resolve().parents[2]
# Packages that call or export a network. An error starts in the code that they call.
_MACHINERY = ("torch", "onnx", "onnxscript", "onnx_ir", "onnxslim", "sympy", "numpy", "typing_extensions.py")
_IN_TEXT = re.compile(r'File "([^"]+)", line (\d+)')
# Longer texts of other programs are cut in Slipway's sentences; the log has the whole text.
LONGEST = 250
_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def line_of(error: BaseException) -> str | None:
    """Return the line that raised an error as "file.py:17: its source"; None where no file of the user's is involved.

    In a chain of errors the first one counts. Its traceback is searched first, then its text.
    """
    for each in reversed(list(causes(error))):
        frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(each.__traceback__)]
        if line := last_line(frames):
            return line
    for each in causes(error):
        if line := line_in_text(str(each)):
            return line
    return None


def line_in_text(text: str) -> str | None:
    """Return the last line of the user's code in a text that has the form of a traceback."""
    return last_line([(name, int(number)) for name, number in _IN_TEXT.findall(text)])


def last_line(frames: list[tuple[str, int | None]]) -> str | None:
    """Return the innermost of some (file, line number) that lies in the user's code, with its source."""
    for name, number in reversed(frames):
        if number and is_users(name):
            source = linecache.getline(name, number).strip()
            return f"{shown(name)}:{number}" + (f": {source}" if source else "")
    return None


def is_users(name: str) -> bool:
    """Say whether a file is neither Python's own, nor PyTorch's or ONNX's, nor one of Slipway's programs."""
    if name.startswith("<"):
        return False
    path = Path(name).resolve()
    if path.is_relative_to(_SLIPWAY):
        return False
    for site in {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")}:
        if path.is_relative_to(site):
            return path.relative_to(site).parts[0] not in _MACHINERY
    return not path.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve())


def shown(name: str) -> str:
    """Return a file's path relative to the working directory where it lies in it."""
    path, here = Path(name).resolve(), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def first_sentence(error: BaseException) -> str:
    """Return the first line of an error's text, shortened and without a terminal's colours; else its type.

    A KeyError says only the key, so its type goes before.
    """
    said = without_colours(str(error)).strip().partition("\n")[0]
    said = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    if not said:
        return type(error).__name__
    return f"{type(error).__name__}: {said}" if isinstance(error, LookupError | AttributeError | NameError) else said


def without_colours(text: str) -> str:
    """Return a text without the codes by which a terminal shows colours."""
    return _TERMINAL_COLOURS.sub("", text)
