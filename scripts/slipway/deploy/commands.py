"""Running the command-line programs of a place to deploy to: `arena` and `docker`."""

import shutil
import subprocess

from slipway.core.errors import SlipwayError

# How much of what a program said when it failed is shown.
SHOWN_LINES = 12


def require_program(name: str, advice: str) -> str:
    """Return the path of a program; raise SlipwayError with what to do when it is not on PATH."""
    found = shutil.which(name)
    if found is None:
        raise SlipwayError(f"there is no `{name}` on PATH; {advice}. Nothing was changed.")
    return found


def said_by(command: list[str], timeout_s: float) -> str:
    """Run a command and return what it printed; raise SlipwayError with what it said when it fails or takes longer."""
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
