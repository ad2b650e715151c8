"""Running the command-line programs of the platforms: `arena` and `docker`."""

import shutil
import subprocess

from slipway.core.errors import SlipwayError

# The number of lines in an error message from the output of a failed program.
SHOWN_LINES = 12


def require_program(name: str, advice: str) -> None:
    """Raise SlipwayError if the program `name` is not on PATH. `advice` is the remedy in the message, as a clause."""
    if shutil.which(name) is None:
        raise SlipwayError(f"there is no `{name}` on PATH; {advice}. Nothing was changed.")


def output_of(command: list[str], timeout_s: float) -> str:
    """Run a command and return its standard output.

    Raises SlipwayError if the command fails, with the last lines of standard error or output. Raises SlipwayError also
    if the command takes longer than `timeout_s` seconds.
    """
    shown = " ".join(command[:4])
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        raise SlipwayError(f"`{shown} ...` did not end within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()[-SHOWN_LINES:]
        raise SlipwayError(f"`{shown} ...` failed with exit code {done.returncode}:\n" + "\n".join(lines))
    return done.stdout
