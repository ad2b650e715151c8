"""Three weeks of a model, with every part real: deployed, better, slower and refused, accepted, rolled back."""

import json
import shutil
import sys

import pytest
from helpers.models import weekly
from helpers.workplace import Workplace, free_ports

from slipway.core.artifacts import read_json
from slipway.history.file import read

pytestmark = [pytest.mark.slow, pytest.mark.long]

# The padding makes an answer take more than fifty times as long. A busy machine makes equal ones differ by several.
PADDING, LIMIT = 120, 15
MODEL = {
    "architecture": "weekly:Areas",
    "weights": "weekly.pth",
    "samples": "weekly:samples",
    "outputs": {"scores": "logits"},
    "metric": {"function": "weekly:right", "targets": ["area"]},
}
CONFIG = {
    "models": {"areas": MODEL},
    "targets": {"cpu": {"runtime": "openvino", "precisions": ["fp32"]}},
    "profile": {"steps": 1},
    "benchmark": {"batch_sizes": [1], "seconds": 0.5, "warmup_seconds": 0.1, "min_samples": 5, "budget_seconds": 10},
    "load_test": {
        "concurrency": [1],
        "instances": [1],
        "max_batch_sizes": [2],
        "requests": 5,
        "p99_limit_ms": 60_000,
        "request_rates": [],
    },
    "regression": {"latency": LIMIT},
}
RUN, RECEIPT, BENCHMARK = (
    f"results/areas/{name}" for name in ("run.json", "deploy/receipt.json", "cpu/areas.benchmark.json")
)


class Team(Workplace):
    """A folder in which a team trains and deploys."""

    def make(self, *words):
        """Run Snakemake with the team's module."""
        return self.snakemake(*words, PYTHONPATH=".")

    def train(self, steps):
        """Write a checkpoint."""
        self.run([sys.executable, "weekly.py", "weekly.pth", str(steps)]).succeeded()

    @property
    def history(self):
        """Return the history of the model."""
        return read(self.path("results/areas/history.jsonl"))

    @property
    def name(self):
        """Return the name of the run whose records are here."""
        key = read_json(self.path(RUN))["line"]["key"]
        return next(run.name for run in self.history.runs if run.key == key)

    def live(self):
        """Return (version, SHA-256 of the weights) of what is live."""
        receipt = read_json(self.path(RECEIPT))
        return receipt["number"], receipt["targets"]["cpu"]["chain"]["weights_sha256"]

    def compared(self):
        """Return (exit code, the comparison) of the program."""
        outcome = self.program("compare", "--json", "--latency", str(LIMIT))
        (found,) = json.loads(outcome.said[outcome.said.index("[") : outcome.said.rindex("]\n") + 1])
        return outcome.code, found, {row["name"]: row for row in found["served"]}


@pytest.fixture
def team(tmp_path):
    folder = tmp_path / "team"
    folder.mkdir()
    shutil.copy(weekly.__file__, folder / "weekly.py")
    found = Team(folder, {**json.loads(json.dumps(CONFIG)), "deploy": {**free_ports(), "ready_timeout_s": 240}})
    yield found
    found.make("undeploy")


def p50(team):
    """Return the engine's latency (ms) in the benchmark's record."""
    results = read_json(team.path(BENCHMARK))["results"]
    (figure,) = [each["intervals"]["p50_ms"]["end_to_end"] for each in results if each["subject"] == "fp32"]
    return figure["median"]


def test_three_weeks(team):
    # The first week: nothing to compare with.
    team.train(steps=3)
    said = team.make("deploy").succeeded().said
    assert "no regression can be found, since none was live on local" in said
    first, first_p50, first_live = team.name, p50(team), team.live()
    assert first_live[0] == 1

    # The second week: better.
    team.train(steps=300)
    team.make("deploy").succeeded()
    second, second_p50, second_live = team.name, p50(team), team.live()
    assert second_live[0] == 2
    assert second != first
    code, found, rows = team.compared()
    assert (code, found["run"], found["compared_with"]) == (0, second, first)
    assert rows["metric right"]["now"]["value"] > rows["metric right"]["before"]["value"] + 0.1
    values = {side: rows["latency at batch 1"][side]["value"] for side in ("before", "now")}
    assert values == {"before": first_p50, "now": second_p50}
    lines = team.path("results/areas/history.jsonl").read_bytes()
    assert "Nothing to be done" in team.make("deploy").succeeded().said
    assert team.path("results/areas/history.jsonl").read_bytes() == lines

    # The third week: the same answers, after a hundred times the work.
    team.train(steps=320)
    team.configure("models.areas.arguments", {"work": PADDING})
    refused = team.make("deploy").refused("areas is not deployed", "latency at batch 1", "it may rise by 1500 %")
    third, third_p50 = team.name, p50(team)
    assert third not in (first, second)
    assert f"accept: [{third}]" in " ".join(refused.said.split())
    assert team.live() == second_live, "something was switched"
    code, found, rows = team.compared()
    assert (code, found["run"], found["compared_with"]) == (1, third, second)
    row = rows["latency at batch 1"]
    assert row["verdict"] in ("regression", "undecided")
    assert row["change"] == pytest.approx(third_p50 / second_p50 - 1)
    assert f"{100 * row['change']:+.1f} %" in refused.said
    team.make("compare").refused("worse than `regression` in config.yaml allows")

    # It is accepted, and deployed as it was measured.
    team.configure("regression.accept", [third])
    said = team.make("deploy").succeeded().said
    assert "which `regression.accept` allows" in said
    assert "Measuring" not in said
    third_live = team.live()
    assert third_live[0] == 3
    assert third_live[1] not in (first_live[1], second_live[1])

    # It goes back.
    team.make("rollback").succeeded()
    assert team.live() == second_live
    team.make("undeploy").succeeded()

    history = team.history
    assert [run.name for run in history.runs] == [first, second, third]
    assert not history.damaged
    assert [(each.action, each.number) for each in history.deployments] == [
        ("deployed", 1),
        ("deployed", 2),
        ("deployed", 3),
        ("rolled_back", 2),
        ("undeployed", None),
    ]
    served = [history.run_of(each, "cpu").name for each in history.live("local", "cpu")]
    assert served == [first, second, third, second]
    assert [run.checkpoint for run in history.runs] == [live[1] for live in (first_live, second_live, third_live)]
    latencies = [run.served("cpu")["batches"]["1"]["latency_ms"]["value"] for run in history.runs]
    assert latencies == [first_p50, second_p50, third_p50]
    # The next week is compared with what was live last, and an acceptance is of one run alone.
    assert team.compared()[1]["compared_with"] == second
    assert read_json(team.path(RUN))["line"] == history.runs[-1].content
