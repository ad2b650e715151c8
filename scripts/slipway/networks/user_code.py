"""Find the line of the user's own code that caused an error."""

import linecache
import re
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path

from slipway.core.errors import causes

# It explains errors, and makes no artifact: see `keys/code_hash.py`.
PART_OF_KEYS = False

_SLIPWAY = Path(__file__).resolve().parents[2]
# Packages that call or export a network. The cause of an error is in the code that these packages call.
_MACHINERY = ("torch", "onnx", "onnxscript", "onnx_ir", "onnxslim", "sympy", "numpy", "typing_extensions.py")
_IN_TEXT = re.compile(r'File "([^"]+)", line (\d+)')
# Longer texts of other programs are cut in Slipway's sentences. The log has the complete text.
LONGEST = 250
_TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def line_of(error: BaseException) -> str | None:
    """Return the user's line that raised an error as "file.py:17: its source"; None without a file of the user.

    In a chain of errors, the first error that was raised counts most. Tracebacks are searched before texts of errors.
    """
    for cause in reversed(causes(error)):
        frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(cause.__traceback__)]
        if line := last_line(frames):
            return line
    for cause in causes(error):
        if line := line_in_text(str(cause)):
            return line
    return None


def place_of(error: BaseException) -> str:
    """Return where the user's code raised an error, such as " at model.py:12: x.view(3)"; "" without such a line."""
    return at(line_of(error))


def at(line: str | None) -> str:
    """Return " at " and `line`, for the end of a sentence; "" if `line` is None."""
    return f" at {line}" if line else ""


def missing_package(error: BaseException) -> str | None:
    """Return the name of the missing package that caused an error; None if the error has another cause."""
    return next((cause.name for cause in causes(error) if isinstance(cause, ModuleNotFoundError)), None)


def line_in_text(text: str) -> str | None:
    """Return the last line of the user's code in a traceback that `text` contains; None if there is none."""
    return last_line([(name, int(number)) for name, number in _IN_TEXT.findall(text)])


def last_line(frames: Sequence[tuple[str, int | None]]) -> str | None:
    """Return the innermost line of the user's code as "file.py:17: its source"; None without one.

    `frames` are the (file name, line number or None) of a traceback, the outermost first.
    """
    for name, number in reversed(frames):
        if number and is_users(name):
            source = linecache.getline(name, number).strip()
            return f"{shown(name)}:{number}" + (f": {source}" if source else "")
    return None


def is_users(name: str) -> bool:
    """Return whether the file `name` is the user's code, and not code of Python, Slipway, PyTorch, ONNX or NumPy."""
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
    """Return the path `name` for a message: relative to the working directory if the file is below this directory."""
    path, here = Path(name).resolve(), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def first_sentence(error: BaseException) -> str:
    """Return the first line of an error's text for a message, shortened and without terminal colours.

    For errors such as KeyError, whose text is only the key, the type precedes the text. Without a text, return the
    type.
    """
    text = without_colours(str(error)).strip()
    # TorchScript's interpreter puts its traceback first.
    text = text.splitlines()[-1] if "in the TorchScript interpreter" in text else text.partition("\n")[0]
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    if not text:
        return type(error).__name__
    return f"{type(error).__name__}: {text}" if isinstance(error, LookupError | AttributeError | NameError) else text


def without_colours(text: str) -> str:
    """Return a text without the colour codes of terminals."""
    return _TERMINAL_COLOURS.sub("", text)
