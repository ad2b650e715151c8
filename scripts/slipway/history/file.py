"""Read results/<model>/history.jsonl, and append lines to the file.

A line is a run, which measured the model, or a deployment, which changed the live version. Lines are only appended, so
no rebuild loses a line. Each line has a key, a SHA-256 that identifies it. Of lines with the same key, only one counts,
so histories can be merged by concatenating the files. If a program is killed while it writes, the last line is torn,
and the next appended line replaces it.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from slipway.core.cli import progress
from slipway.core.clock import utc_now
from slipway.history.lines import DEPLOYMENT, RUN, UNDEPLOYED, Deployment, Run, order_of, problem_of, text_of

NAME = "history.jsonl"
_BEGIN = '{"kind": '


@dataclass(frozen=True)
class History:
    """The runs and deployments of a model, without duplicates, in the order of their times (see `order_of`).

    `damaged` has a sentence for each line that could not be read, such as an edited line. A torn last line does not
    count as damaged.
    """

    runs: list[Run]
    deployments: list[Deployment]
    damaged: list[str]

    def run_of(self, deployment: Deployment, target: str) -> Run | None:
        """Return the run that chose the configuration which a deployment serves on a target; None if it is unknown.

        A run is one measurement of the model. If several runs chose this configuration, the last run before the
        deployment is returned.
        """
        selection = deployment.targets.get(target, {}).get("selection")
        runs = [run for run in self.runs if selection and _selection(run, target) == selection]
        return next((run for run in reversed(runs) if run.order <= deployment.order), runs[0] if runs else None)

    def live(self, platform: str, target: str) -> list[Deployment]:
        """Return the deployments and rollbacks that served a target on a platform, the latest last.

        `platform` is a value of `deploy.to`, such as "local".
        """
        return [change for change in self.deployments if change.platform == platform and target in change.targets]

    def deployments_of(self, run: Run) -> list[Deployment]:
        """Return the deployments that served the configuration that a run chose, and the rollbacks to it."""
        return [
            change
            for change in self.deployments
            if change.action != UNDEPLOYED and any(self.run_of(change, target) == run for target in change.targets)
        ]


def read(path: Path) -> History:
    """Return the history in a file, results/<model>/history.jsonl; an empty history if there is no file."""
    pairs, lines = list(_lines(path)), dict[tuple, dict]()
    for line in (line for line, problem in pairs if not problem):
        lines.setdefault((line["kind"], line["key"]), line)
    ordered = sorted(lines.values(), key=order_of)
    runs = [Run(line) for line in ordered if line["kind"] == RUN]
    deployments = [Deployment(line) for line in ordered if line["kind"] == DEPLOYMENT]
    return History(runs, deployments, [problem for _, problem in pairs if problem])


def append(path: Path, line: dict) -> bool:
    """Append a valid line, unless the history has a line with its key. Return whether the line was appended.

    `line` has "kind" ("run" or "deployment"), "key", "when" and the other keys in schemas/history.schema.yaml. If the
    history has a line from the future, the clock was wrong then, or is wrong now. So the new line gets the time of that
    line as "after", and counts as the later line. Raises SlipwayError if the line breaks the schema, and OSError if it
    cannot be written. In both cases, the history stays as it was.
    """
    text_of(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    # No buffer: after an error, closing the file would write the rest of the line.
    with open(path, "ab+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        others = [other for other, problem in _lines(path) if not problem]
        if any(other["key"] == line["key"] for other in others):
            return False
        latest = max(map(order_of, others), default="")
        if latest > utc_now().replace("+00:00", "Z"):
            line = line | {"after": latest}
            progress(
                f"  CAUTION: {path} has a line of {latest}, later than the clock of this machine; correct the clock. "
                "The new line counts as later than that line"
            )
        begin, rest = _end_of_whole_lines(file), f"{text_of(line)}\n".encode()
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), begin)
            raise
    return True


def _lines(path: Path) -> Iterator[tuple[dict, str | None]]:
    """Yield (line, None) for each valid line of a history, and (line or {}, its problem) for any other line."""
    if not path.exists():
        return
    texts = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, text in enumerate(texts, start=1):
        objects, torn = _parsed(text)
        if torn and number < len(texts):
            yield {}, f"{path}, line {number}: a part of it is no JSON; only the readable part counts"
        for line in objects:
            problem = problem_of(line)
            yield line, f"{path}, line {number}: {problem}" if problem else None


def _parsed(text: str) -> tuple[list[dict], bool]:
    """Return (the JSON objects in a line of text, whether a part of the text is no JSON).

    A line has several objects if files were concatenated, and the last line of a file was torn or had no line feed.
    """
    objects: list[dict] = []
    torn, rest = False, text.strip()
    while rest:
        content, end = None, -1
        with suppress(ValueError, RecursionError):
            content, end = json.JSONDecoder().raw_decode(rest)
        if isinstance(content, dict):
            objects.append(content)
        else:
            torn, end = True, rest.find(_BEGIN, 1)
        rest = rest[end:].strip() if end != -1 else ""
    return objects, torn


def _end_of_whole_lines(file: BinaryIO) -> int:
    """Prepare a history for another line: complete a last line without line feed, or remove it if it is torn.

    Returns the file's size.
    """
    file.seek(0)
    content = file.read()
    last = content.rpartition(b"\n")[2]
    if last and _parsed(last.decode("utf-8", "replace"))[0]:
        file.write(b"\n")
    elif last:
        file.truncate(len(content) - len(last))
    return file.seek(0, os.SEEK_END)


def _selection(run: Run, target: str) -> str | None:
    return run.targets.get(target, {}).get("records", {}).get("selection")
