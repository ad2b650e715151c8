"""A checkpoint that cannot be used leaves the weights of before; a download that fails says what to do instead."""

import json
import pickle

import pytest
from helpers.workplace import (
    ARCHITECTURE,
    ENGINE_RECORD,
    ONNX,
    REFERENCE,
    WEIGHTS,
    Workplace,
    free_ports,
    random_checkpoint,
)

pytestmark = pytest.mark.slow

RECORD = "results/tiny/weights.json"


def of_another_architecture(path, marker):
    random_checkpoint(path, seed=2, num_classes=7)


def truncated(path, marker):
    random_checkpoint(path, seed=2)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


class RunsCode:
    """Pickles to a call that creates a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def malicious(path, marker):
    import torch

    torch.save({"state_dict": RunsCode(marker)}, path)


UNUSABLE = {
    "missing": (lambda path, marker: None, ["does not exist", "correct `weights`"]),
    "another_architecture": (
        of_another_architecture,
        [
            "is of another architecture",
            "is (7, 512, 1, 1), not (1000, 512, 1, 1)",
            "correct `architecture`, its `arguments` (such as num_classes) or `weights`",
        ],
    ),
    "truncated": (truncated, ["is truncated or", "copy it again"]),
    "runs_code": (malicious, ["would run code when loaded, so it was not loaded", "save only model.state_dict()"]),
}


@pytest.mark.parametrize(("make", "phrases"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_checkpoint_keeps_the_weights_of_before(after_good_run, tmp_path, make, phrases):
    before = after_good_run.artifacts()
    marker = tmp_path / "the checkpoint ran code"
    make(after_good_run.path("new.pth"), marker)

    after_good_run.program_here(
        "fetch_weights",
        *("--architecture", ARCHITECTURE, "--checkpoint", "new.pth"),
        *("--samples", "results/tiny/samples.npz", "--output", WEIGHTS, "--record", RECORD),
    ).refused("new.pth", *phrases)

    assert not marker.exists()
    assert after_good_run.artifacts() == before
    assert not after_good_run.partial_files()


@pytest.mark.long
def test_what_was_kept_does_not_pass_for_what_was_asked(after_good_run):
    before = after_good_run.artifacts()
    truncated(after_good_run.path("new.pth"), marker=None)
    after_good_run.configure("models.tiny.weights", "new.pth")

    after_good_run.snakemake(WEIGHTS).refused("new.pth", *UNUSABLE["truncated"][1])
    after_good_run.snakemake(WEIGHTS).refused("new.pth", *UNUSABLE["truncated"][1])
    assert after_good_run.artifacts() == before

    random_checkpoint(after_good_run.path("new.pth"), seed=3)
    after_good_run.snakemake(WEIGHTS).succeeded()
    assert after_good_run.artifacts()[WEIGHTS] != before[WEIGHTS]
    assert json.loads(after_good_run.path(RECORD).read_text())["origin"] == "checkpoint"


def test_the_malicious_checkpoint_of_this_test_would_run(tmp_path):
    """Without this, a checkpoint that is merely broken would pass for a refused attack."""
    pickle.loads(pickle.dumps(RunsCode(tmp_path / "ran"))).close()
    assert (tmp_path / "ran").exists()


def unreachable_network(folder):
    """Return an environment in which every download meets a closed port and no earlier download is found."""
    port = free_ports()["http_port"]
    proxy = f"http://127.0.0.1:{port}"
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    return {**dict.fromkeys(names, proxy), "no_proxy": "", "NO_PROXY": "", "TORCH_HOME": str(folder / "torch_home")}


def test_named_download_that_cannot_be_reached_names_both_ways_out(after_good_run, tmp_path):
    before = after_good_run.artifacts()
    after_good_run.configure("models.tiny.weights", "IMAGENET1K_V1")

    after_good_run.snakemake(WEIGHTS, **unreachable_network(tmp_path)).refused(
        "the weights IMAGENET1K_V1 of squeezenet1_1 could not be downloaded",
        "set `weights` to the path of a local copy",
        "`weights: default`",
    )

    assert after_good_run.artifacts() == before
    assert not after_good_run.partial_files()
    after_good_run.configure("models.tiny.weights", "good.pth")
    after_good_run.snakemake(WEIGHTS).succeeded()
    assert after_good_run.artifacts()[WEIGHTS] == before[WEIGHTS]


@pytest.mark.long
def test_default_weights_that_cannot_be_reached_go_on_as_a_rehearsal(workplace: Workplace, tmp_path):
    workplace.configure("models.tiny.weights", "default")

    outcome = workplace.snakemake(REFERENCE, ENGINE_RECORD, **unreachable_network(tmp_path)).succeeded()

    assert "REHEARSAL" in outcome.said
    for record in ("results/tiny/weights.json", "results/tiny/reference_outputs.json", f"{ONNX}.json", ENGINE_RECORD):
        assert json.loads(workplace.path(record).read_text())["origin"] == "rehearsal", record
