"""Programs of scripts/ that run while faults happen, and processes that are waited for."""

import contextlib
import os
import subprocess
import time

import psutil
from helpers.workplace import Outcome

# The --ready-timeout-s of a scene's deployments. Some faults let it pass.
READY_S = 60
# The time for a load and for the way back, and much more for a busy machine.
PATIENCE_S = 10 * READY_S


class Command:
    """A program of scripts/ that runs."""

    def __init__(self, command, folder, environment, sums):
        self._sums, self._said = sums, []
        self.process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )

    def until(self, step, later_s=0.0):
        """Wait until it told a step, or with "begins" until it has the checkout for itself, and some seconds more."""
        if step == "begins":
            wait_for(lambda: self.process.poll() is not None or self._has_lock())
        while step != "begins" and (line := self.process.stdout.readline()):
            self._said.append(line)
            if step in line:
                break
        time.sleep(later_s)
        return self

    def _has_lock(self):
        with contextlib.suppress(psutil.Error):
            files = psutil.Process(self.process.pid).open_files()
            return any(file.path.endswith("deploying.lock") for file in files)
        return False

    def send(self, number):
        """Send it a signal."""
        self.process.send_signal(number)
        self._sums["kills"] += 1
        return self

    def end(self):
        """Wait for its end; return its exit code and all that it said."""
        try:
            said, _ = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            said, _ = self.process.communicate()
            raise AssertionError(f"it did not end within {PATIENCE_S} s, and said: {said}") from None
        return Outcome(self.process.returncode, "".join(self._said) + said)


def told_well(outcome):
    """Require that a command ended well, or by a signal, or told in a sentence why not; return its outcome."""
    unwanted = [word for word in ("Traceback", "unexpected", "[Errno", "[('", "Segmentation") if word in outcome.said]
    assert not unwanted, f"it said {unwanted}:\n{outcome.said}"
    if 0 < outcome.code < 128:
        assert "error: " in outcome.said or "config: " in outcome.said, (
            f"it ended with {outcome.code} and no sentence:\n{outcome.said}"
        )
    return outcome


def wait_for(condition, otherwise=lambda: "the condition that was waited for did not come", patience_s=PATIENCE_S):
    """Return once a condition holds; raise AssertionError with the text that `otherwise` returns if it never does."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.01)


def command_line(process):
    """Return the command line of a process, "" where it has ended."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
