"""Read results/<model>/history.jsonl, and append lines to it.

Lines are only appended, so no rebuild loses one. A line has a key and counts once, so concatenated files merge.
A program that was killed while it wrote leaves a torn last line, which the next line replaces.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from slipway.history.lines import DEPLOYMENT, RUN, UNDEPLOYED, Deployment, Run, problem_of, text_of

NAME = "history.jsonl"
_BEGIN = '{"kind": '


@dataclass(frozen=True)
class History:
    """The lines of a history, each once, in the order of their times.

    `damaged` has a sentence for each line that could not be read, such as an edited one. A torn last line does not
    count as damaged.
    """

    runs: list[Run]
    deployments: list[Deployment]
    damaged: list[str]

    def run_of(self, deployment: Deployment, target: str) -> Run | None:
        """Return the last run before a deployment that chose the served configuration of a target; None if unknown."""
        selection = deployment.targets.get(target, {}).get("selection")
        runs = [run for run in self.runs if selection and _selection(run, target) == selection]
        return next((run for run in reversed(runs) if run.when <= deployment.when), runs[0] if runs else None)

    def live(self, platform: str, target: str) -> list[Deployment]:
        """Return the changes after which a target's repository was live on a platform, the latest last."""
        return [change for change in self.deployments if change.platform == platform and target in change.targets]

    def deployments_of(self, run: Run) -> list[Deployment]:
        """Return the deployments and rollbacks that made live the configuration that a run chose."""
        return [
            change
            for change in self.deployments
            if change.action != UNDEPLOYED and any(self.run_of(change, target) == run for target in change.targets)
        ]


def read(path: Path) -> History:
    """Return the history in a file; it is empty if there is no file."""
    pairs, lines = list(_lines(path)), dict[tuple, dict]()
    for line in (line for line, problem in pairs if not problem):
        lines.setdefault((line["kind"], line["key"]), line)
    ordered = sorted(lines.values(), key=itemgetter("when"))
    runs = [Run(line) for line in ordered if line["kind"] == RUN]
    deployments = [Deployment(line) for line in ordered if line["kind"] == DEPLOYMENT]
    return History(runs, deployments, [problem for _, problem in pairs if problem])


def append(path: Path, line: dict) -> bool:
    """Append a valid line, unless the history has its key; return whether it was appended.

    Raises SlipwayError if the line breaks the schema, and OSError if it cannot be written. In both cases nothing is
    appended.
    """
    text = text_of(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without a buffer: closing the file would write the rest of a line that failed.
    with open(path, "ab+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if any(other["key"] == line["key"] for other, problem in _lines(path) if not problem):
            return False
        begin, rest = _end_of_whole_lines(file), f"{text}\n".encode()
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), begin)
            raise
    return True


def _lines(path: Path) -> Iterator[tuple[dict, str | None]]:
    """Yield (line, None) of each valid line, and (line or {}, its problem) of others."""
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
    """Return (the objects in a line of text, whether a part of it is no JSON).

    A line has several objects where files were concatenated, if the last line of one was torn or had no line feed.
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
    """Prepare an open file for another line, and return its size: complete or remove a last line without line feed."""
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
