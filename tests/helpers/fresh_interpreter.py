"""Code in an interpreter that has imported nothing yet."""

import subprocess
import sys

from slipway.keys.code_hash import SCRIPTS


def printed(code):
    """Return what the code prints in a new interpreter that finds the programs' modules."""
    found = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True).stdout.strip()
