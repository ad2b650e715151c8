"""Functions that every program in `scripts/` uses: options, log, progress and errors."""

import argparse
import contextlib
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.job_preconditions import require_planned
from slipway.core.os_errors import explained, without_number

# This module reads options, checks the plan and shows messages, but makes no artifact: see `keys/code_hash.py`.
PART_OF_KEYS = False

# {option of several programs: its help}. All are required. The value of an option is a path, or text for _TEXTS.
_COMMON = {
    "weights": "canonical checkpoint (.safetensors)",
    "weights_record": "record of the canonical checkpoint (.json)",
    "contract": "contract of the model: its tensors, samples and facts (.json)",
    "interface": "inputs and outputs of the model, on which graphs and engines depend (.json)",
    "labels": "names of output values, one a line",
    "samples": "samples of the inputs (.npz)",
    "samples_record": "record of the samples (.json)",
    "onnx_record": "record of the ONNX file (.json)",
    "engine_record": "build record of the engine (.json)",
    "load_test": "record of the load test (.json)",
    "folder": "model folder of the repository",
    "index": "index of the repository (.json)",
    "private_key": "key of an elliptic curve (.pem)",
    "manifests": "record of the manifests (.json)",
    "record": "JSON record to write",
    "output": "JSON to write",
    "engine_records": "build records of the engines (.json)",
    "onnx_records": "records of the ONNX files (.json)",
    "selections": "chosen configurations of the targets (.json)",
    "indexes": "indexes of the targets' repositories (.json)",
    "model": "name of the model",
    "target": "name of the target",
    "hardware": "identity of the CPU or GPU that must do it",
}
_TEXTS = {"model", "target", "hardware"}
# {option with several values: argparse's nargs}. "*" allows no target to deploy: `write_manifests` explains it then.
_SEVERAL = {"engine_records": "+", "onnx_records": "+", "selections": "*", "indexes": "*"}
_terminal = sys.stderr
# C0 and C1 control characters except tab and line feed, and the characters that change the writing direction.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def parser(description: str, *common: str, **files: str) -> argparse.ArgumentParser:
    """Return an argument parser with the option --log and required options for files and names.

    `common` are options of several programs, keys of _COMMON, such as "contract". `files` are options of this program,
    {name: help}; each takes a path.
    """
    arguments = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    arguments.add_argument("--log", help="write everything to this file, and only progress and errors to the terminal")
    for name, content in {**{name: _COMMON[name] for name in common}, **files}.items():
        option, kind = f"--{name.replace('_', '-')}", str if name in _TEXTS else Path
        arguments.add_argument(option, type=kind, nargs=_SEVERAL.get(name), required=True, help=content)
    return arguments


def progress(line: str) -> None:
    """Print a line to the terminal and, if the program writes a log file, also to this file."""
    line = without_number(printable(line))
    print(line, file=_terminal, flush=True)
    if _terminal is not sys.stderr:
        print(line, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Return a text of unknown origin with control characters as escapes, so that it cannot change the terminal.

    Tabs and line feeds remain.
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def run(main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> None:
    """Run a program: check that the job runs as planned, and call `main(arguments)`.

    On an error, print one sentence and exit.
    """
    restrict_umask()
    try:
        if arguments.log:
            _redirect_to(arguments.log)
        require_planned(arguments)
        main(arguments)
    except SlipwayError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; run the same command again to continue with the unfinished work", 128 + signal.SIGINT)
    except Exception as error:
        if isinstance(error, OSError) and (sentence := explained(error)):
            _fail(sentence)
        traceback.print_exc()
        _fail(f"unexpected {type(error).__name__}: {error}; the log has the whole story")


def restrict_umask() -> None:
    """Add 022 to the umask of this process, so that other users cannot write new files and folders."""
    os.umask(os.umask(0o022) | 0o022)


def unwind_when_terminated() -> None:
    """Let SIGTERM (`kill`, a scheduler) and SIGHUP (a closed terminal) end this program as Ctrl-C does.

    The program stops and undoes unfinished work. Further signals are ignored meanwhile. If the program was started with
    nohup, it ignores SIGHUP.
    """
    signals = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]

    def unwind(received: int, _: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + received)

    for number in signals:
        signal.signal(number, unwind)


def prefer_this_interpreter() -> None:
    """Put the folder of this interpreter first on PATH, so that jobs use it without an activated environment."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _redirect_to(log: str) -> None:
    """Send all output of this process, of native libraries and of child processes to the file `log`.

    `progress` still writes to the terminal.
    """
    global _terminal
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    _terminal = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def _fail(message: str, code: int = 1) -> None:
    with contextlib.suppress(OSError):
        progress(f"error: {message}")
    sys.exit(code)
