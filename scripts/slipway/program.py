"""How each program of `scripts/` talks: its options, its log, its progress and its errors."""

import argparse
import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.planned import require_planned

_terminal = sys.stderr


def parser(description: str) -> argparse.ArgumentParser:
    """Return an argument parser with the option that every program has: --log."""
    arguments = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    arguments.add_argument("--log", help="write everything to this file, and only progress and errors to the terminal")
    return arguments


def progress(line: str) -> None:
    """Show a line to the person who waits, and keep it in the log."""
    print(line, file=_terminal, flush=True)
    if _terminal is not sys.stderr:
        print(line, file=sys.stderr, flush=True)


def run(main: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> None:
    """Run a program's `main`, if it finds what it was planned for; turn what went wrong into a sentence and exit."""
    if arguments.log:
        _redirect_to(arguments.log)
    try:
        require_planned(arguments)
        main(arguments)
    except SlipwayError as error:
        _fail(str(error))
    except OSError as error:
        traceback.print_exc()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail(f"the disk is full ({error}); free some space and run again: nothing partial was left behind")
        _fail(f"{type(error).__name__}: {error}")
    except Exception as error:
        traceback.print_exc()
        _fail(f"unexpected {type(error).__name__}: {error}; the log has the whole story")


def unwind_when_terminated() -> None:
    """Let SIGTERM (`kill`, a scheduler) end this program as Ctrl-C does: what it began is stopped and taken back."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def prefer_this_interpreter() -> None:
    """Put this interpreter's programs first on PATH, so jobs run under it in an environment not activated."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _redirect_to(log: str) -> None:
    """Send file descriptors 1 and 2 to `log`, so that native libraries and child processes write there too."""
    global _terminal
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    _terminal = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    sys.stdout.reconfigure(line_buffering=True)


def _fail(message: str) -> None:
    with contextlib.suppress(OSError):
        progress(f"error: {message}")
    sys.exit(1)
