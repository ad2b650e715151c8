"""The two kinds of lines in a history: a run that measured a model, and a change of the live version.

A target is a kind of GPU or CPU that config.yaml names. schemas/history.schema.yaml describes the content of lines.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jsonschema
import yaml

from slipway.core.errors import SlipwayError

SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "history.schema.yaml"
RUN, DEPLOYMENT = "run", "deployment"
DEPLOYED, ROLLED_BACK, UNDEPLOYED = "deployed", "rolled_back", "undeployed"


@dataclass(frozen=True)
class Line:
    """A line of a history. `content` is the line as a dictionary."""

    content: dict

    @property
    def key(self) -> str:
        """Return the key of the line, a SHA-256 that identifies it."""
        return self.content["key"]

    @property
    def when(self) -> str:
        """Return the time of the line in UTC, such as 2026-01-31T12:00:00Z."""
        return self.content["when"]

    @property
    def order(self) -> str:
        """Return the time by which lines are ordered: their own time, corrected for a wrong clock (see `order_of`)."""
        return order_of(self.content)

    @property
    def targets(self) -> dict[str, dict]:
        """Return {target: facts} of the line. A target is a kind of GPU or CPU.

        The facts of a run are its hardware, versions, engines and selection. The facts of a deployment are the
        "version", "checkpoint" and "selection" that the target serves. If no target is served, return {}.
        """
        return self.content["targets"]


class Run(Line):
    """A line about a run: one measurement of a model on all its targets."""

    def __str__(self) -> str:
        return f"run {self.name} of {self.when}, weights {self.checkpoint[:12]}"

    @property
    def name(self) -> str:
        """Return the run's name for people, such as r0123456789ab."""
        return f"r{self.key[:12]}"

    @property
    def checkpoint(self) -> str:
        """Return the SHA-256 of the run's weights."""
        return self.content["checkpoint"]["sha256"]

    def served(self, target: str) -> dict:
        """Return the facts about the engine that the run chose on a target, with the keys of `recording.of_engine`."""
        return self.targets[target]["engines"][self.targets[target]["selection"]["precision"]]


class Deployment(Line):
    """A line about a change of the live version: a deployment, a rollback, or an undeployment."""

    @property
    def action(self) -> str:
        """Return "deployed", "rolled_back" (an earlier version is live again) or "undeployed"."""
        return self.content["action"]

    @property
    def platform(self) -> str:
        """Return the platform of the change, one of the values of `deploy.to`."""
        return self.content["platform"]

    @property
    def number(self) -> int | None:
        """Return the version number that clients see; None if the model is not served."""
        return self.content["number"]


def order_of(line: dict) -> str:
    """Return the time by which a line is ordered: its "when" or, if the clock was wrong, the later time in "after"."""
    return max(line["when"], line.get("after", ""))


def key_of(content: object) -> str:
    """Return the SHA-256 of JSON content, as the key that identifies a line."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def text_of(line: dict) -> str:
    """Return a line of a history as JSON text, without line feed. Raise SlipwayError if the line breaks the schema."""
    if problem := problem_of(line):
        raise SlipwayError(f"a line of the history is not valid: {problem}; this is a defect of Slipway, report it")
    return json.dumps(line)


def problem_of(line: object) -> str | None:
    """Return the reason why `line`, JSON content, is no valid line of a history; None if it is valid."""
    if not isinstance(line, dict) or line.get("kind") not in (RUN, DEPLOYMENT):
        return "it is neither a run nor a deployment"
    error = jsonschema.exceptions.best_match(_validator(line["kind"]).iter_errors(line))
    return error and f"{error.json_path.removeprefix('$.')}: {error.message[:200]}"


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]})
