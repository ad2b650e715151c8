"""`snakemake manifests` for a CPU, from a checkpoint to files that the published schemas take; nothing is deployed."""

import pytest
import yaml
from workplace import Workplace, random_checkpoint, tiny_configuration

from slipway.artifacts import read_json, sha256
from slipway.manifests.validation import OLDEST, validate

pytestmark = pytest.mark.slow

DEPLOY = "results/tiny/deploy"
FILES = ["arena.sh", "arena.yaml", "compose.yaml", "kserve.yaml", "kubernetes.yaml", "manifests.json"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder in which the manifests of a tiny model were written."""
    found = Workplace(tmp_path_factory.mktemp("manifests"), tiny_configuration())
    random_checkpoint(found.path("good.pth"), seed=1)
    found.config["targets"]["cpu"]["runtime"] = "openvino"
    found.config["triton"] = {"release": "26.08"}
    found.config["deploy"]["to"] = "kubernetes"
    # A sampler of memory has to see the server, which answers a few requests in less time than it sleeps.
    found.config["load_test"]["requests"] = 200
    found.write_config()
    found.first_words = found.snakemake("manifests").succeeded().said
    return found


def planned(place):
    """Return the rules that a dry run plans."""
    said = place.snakemake("-n", "manifests").succeeded().said
    return [] if "Nothing to be done" in said else said.partition("Job stats:")[2].split()


def test_all_are_written_and_nothing_is_deployed(made):
    assert set(FILES) <= {path.name for path in made.path(DEPLOY).iterdir()}
    assert not made.path(f"{DEPLOY}/receipt.json").exists()
    assert not made.path("results/.server").exists()
    assert "WARNING, cpu: not verified that this Triton runs what openvino" in made.first_words


def test_kubernetes_takes_them(made):
    for name in ("arena.yaml", "kserve.yaml", "kubernetes.yaml"):
        for found in yaml.safe_load_all(made.path(f"{DEPLOY}/{name}").read_text(encoding="utf-8")):
            validate(found, OLDEST)


def test_each_value_came_from_what_was_measured_here(made):
    record = read_json(made.path(f"{DEPLOY}/manifests.json"))
    selection = read_json(made.path("results/tiny/cpu/selection.json"))
    assert record["values"]["cpu"]["instances"] == {
        "value": selection["instances"],
        "source": "results/tiny/cpu/selection.json",
        "key": "instances",
    }
    assert all(sha256(made.path(path)) == digest for path, digest in record["artifacts"].items())
    assert record["files"]["kubernetes.yaml"] == sha256(made.path(f"{DEPLOY}/kubernetes.yaml"))


def test_nothing_is_stale_until_something_changes(made):
    assert planned(made) == []
    made.configure("deploy.cluster", {"replicas": 2})
    jobs = planned(made)
    made.configure("deploy.cluster", {})
    assert "write_manifests" in jobs
    assert "load_test" not in jobs
    assert "write_repository" not in jobs


def test_deploying_there_is_refused_before_anything_runs(made):
    before = made.artifacts()
    made.snakemake("deploy").refused("`deploy.to` is kubernetes", "snakemake --cores 1 manifests")
    assert made.artifacts() == before


def test_a_release_that_nobody_named_is_asked_for(made):
    made.configure("triton", {})
    try:
        made.snakemake("manifests").refused("nothing says which Triton serves", "`triton.release`")
    finally:
        made.configure("triton", {"release": "26.08"})
    assert made.partial_files() == []
