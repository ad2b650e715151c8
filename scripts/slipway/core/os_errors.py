"""Explain errors of the operating system in a sentence with a remedy."""

import errno
import re
import shutil

from slipway.core.errors import causes

# This module explains errors, but makes no artifact: see `keys/code_hash.py`.
PART_OF_KEYS = False

_REMEDIES = {
    errno.ENOSPC: "the disk is full ({}); free some space and run again: nothing partial was left behind",
    errno.EDQUOT: "the disk quota is used up ({}); free some space and run again: nothing partial was left behind",
    errno.EROFS: "the file system is read-only ({}); run where it can be written, or mount it so",
    errno.EACCES: "this user may not do that ({}); change the permissions, or run as the user who owns it",
    errno.EPERM: "this user may not do that ({}); change the permissions, or run as the user who owns it",
    errno.ENOLCK: "the file system has no locks ({}); run on a local disk, or have its lock service started",
    errno.ENOENT: "a file or folder is missing ({}); put it there, or run snakemake again if one of its rules makes it",
    errno.ENOTDIR: "a file stands where a folder has to be ({}); move it away and run again",
    errno.EISDIR: "a folder stands where a file has to be ({}); move it away and run again",
    errno.EFBIG: "a file may not become so large ({}); raise the limit (ulimit -f) and run again",
    errno.ENOEXEC: "this is no program for this machine ({}); put the right one there, or take it off PATH",
    errno.EEXIST: "a file is in the way ({}); move it away and run again",
    errno.EMFILE: "too many files are open ({}); raise the limit (ulimit -n) and run again",
    errno.ENFILE: "too many files are open on this machine ({}); end the programs that opened them and run again",
    errno.ENAMETOOLONG: "a path is too long ({}); run in a folder with a shorter path",
    errno.EIO: "the disk failed ({}); look at the system's log before running again",
    errno.ESTALE: "the network file system was remounted meanwhile ({}); run again",
    errno.ENOMEM: "there is not enough memory ({}); end other programs, or run on a machine with more",
    errno.ELOOP: "symbolic links lead in a circle ({}); correct them and run again",
}


def without_number(error: OSError | str) -> str:
    """Return the text of an error without Python's prefix, such as "[Errno 28]"."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(error))


def explained(error: OSError) -> str | None:
    """Return a sentence with a remedy for an error of the operating system; None if no remedy is known."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return _explained_copy(error.args[0])
    if error.errno not in _REMEDIES:
        return None
    files = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return _REMEDIES[error.errno].format(f"{error.strerror}: {files}" if files else str(error.strerror))


def of_system(error: BaseException) -> OSError | None:
    """Return the first OSError in an error's chain of causes that `explained` can explain; None if there is none."""
    return next((cause for cause in causes(error) if isinstance(cause, OSError) and explained(cause)), None)


def _explained_copy(failures: list[tuple[str, str, str]]) -> str:
    """Return a sentence with a remedy for a failed shutil.copytree; `failures` are its (source, copy, reason)."""
    source, copy, reason = failures[0]
    others = f", and {len(failures) - 1} more like it" if len(failures) > 1 else ""
    sentence = next((_REMEDIES[code] for code in _REMEDIES if f"[Errno {code}]" in str(reason)), None)
    problem = f"{source} could not be copied to {copy}{others}: {reason}"
    return sentence.format(problem) if sentence else f"{problem}; mend that and run again"
