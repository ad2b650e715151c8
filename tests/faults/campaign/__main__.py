"""Run the campaign: `make faults`, or with PYTHONPATH=scripts:tests, `python -m faults.campaign --only "full disk"`.

Prints a line for each fault, how many were tried and survived, and what was counted; exits with 1 unless all survived.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faults.campaign.fault import FAULTS
from faults.campaign.judging import SURVIVED
from faults.campaign.running import campaign
from helpers.full_disk import NAMESPACE, can_mount

MOUNTS = "SLIPWAY_CAMPAIGN_MOUNTS"


def parse_arguments():
    """Return the options of the command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", default="", help="regular expression; only faults whose names it is found in")
    arguments.add_argument("--output", type=Path, default=Path("faults.json"), help="JSON to write: how each ended")
    arguments.add_argument("--scenes", type=int, default=3, help="scenes at once")
    arguments.add_argument("--minutes", type=float, default=1e6, help="begin no fault after so long")
    arguments.add_argument("--seed", type=int, default=0, help="of the order in which they come")
    arguments.add_argument("--list", action="store_true", help="print the names of the faults, and do nothing")
    return arguments.parse_args()


def main():
    """Let every fault happen, in several scenes at once; tell and write down how it ended."""
    arguments = parse_arguments()
    chosen = [number for number, each in enumerate(FAULTS) if re.search(arguments.only, str(each))]
    if arguments.list:
        print(*(FAULTS[number] for number in chosen), sep="\n")
        return
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        in_own_namespace(Path(folder))
        started, tried = time.monotonic(), commit()
        outcomes, sums = campaign(
            Path(folder), chosen, min(arguments.scenes, len(chosen)), arguments.minutes, arguments.seed
        )
    written = {"commit": tried} | summary(outcomes, sums, len(chosen), time.monotonic() - started)
    arguments.output.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    print(*conclusion(written), f"written to {arguments.output}", sep="\n")
    sys.exit(0 if written["survived"] == written["tried"] and not written["lost"] and not written["wrong"] else 1)


def in_own_namespace(folder):
    """Run this once more where small file systems may be mounted, if this user may do that."""
    if MOUNTS not in os.environ and can_mount(folder):
        shutil.rmtree(folder)
        command = [*NAMESPACE, sys.executable, "-m", "faults.campaign", *sys.argv[1:]]
        os.execvpe(command[0], command, {**os.environ, MOUNTS: "1"})


def commit():
    """Return the commit that is tried, None where this is no clone of git."""
    with contextlib.suppress(OSError):
        told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
        return told.stdout.strip() or None
    return None


def summary(outcomes, sums, known, seconds):
    """Return what is written down."""
    tried = [each for each in outcomes if not each["outcome"].startswith("not here")]
    return {
        "minutes": round(seconds / 60, 1),
        "known": known,
        "tried": len(tried),
        "survived": sum(each["outcome"] == SURVIVED for each in tried),
        **sums,
        "faults": outcomes,
    }


def conclusion(written):
    """Return the lines at the end."""
    counted = ", ".join(f"{value} {name}" for name, value in written.items() if name in COUNTED)
    failed = [each["fault"] for each in written["faults"] if each["outcome"] != SURVIVED]
    return [
        *(f"NOT survived or not tried: {name}" for name in failed),
        f"{written['tried']} faults tried of {written['known']} known, {written['survived']} survived",
        f"in {written['minutes']} minutes, of commit {written['commit']}",
        f"under load: {counted}",
    ]


COUNTED = ("requests", "lost", "wrong", "deployments", "rollbacks", "kills", "other commands")


if __name__ == "__main__":
    main()
