"""A load test and a capacity of a server in a container: a stand-in for Docker runs a real Triton."""

import subprocess

import pytest
from helpers.models.tiny_engine import tiny_engine
from helpers.programs.container_place import IN_CONTAINER, wait_for
from helpers.programs.fake_container import IMAGE, RELEASE, containers

from slipway.contract.archives import write_samples
from slipway.core.artifacts import read_json, write_json
from slipway.core.hardware import cpu_identity
from slipway.load_test.workspace import workspace as new_workspace
from slipway.triton.client.ports import Ports
from slipway.triton.server.installation import find_installation
from slipway.triton.server.server_options import ServerChoice

pytestmark = pytest.mark.slow


def load_tested(place, folder, *more):
    """Run a load test of a tiny engine; return its record."""
    tiny = tiny_engine(folder, "openvino")
    write_json(folder / "interface.json", tiny.contract.interface())
    write_samples(folder / "samples.npz", [{"input": tiny.batch[:1]}])
    paths = {name: folder / name for name in ("table", "record", "original", "plots")}
    place.program_here(
        "load_test",
        *("--model", "m", "--engine-records", tiny.engine_record, "--weights-record", tiny.weights_record),
        *("--hardware", cpu_identity(), "--interface", folder / "interface.json"),
        *("--samples", folder / "samples.npz", "--requests", 10, "--minutes", 2),
        *(word for name, path in paths.items() for word in (f"--{name}", path)),
        *more,
    ).succeeded()
    return read_json(folder / "record")


@pytest.mark.long
def test_a_load_test_in_a_container(place, tmp_path):
    sizes = ("--concurrency", 1, "--instances", 1, 2, "--max-batch-sizes", 4)
    why = "no tritonserver on PATH"
    record = load_tested(place, tmp_path, *sizes, *IN_CONTAINER, "--server-why", why)
    stated = record["server"]
    assert (stated["run"], stated["image"], stated["release"], stated["why"]) == ("container", IMAGE, RELEASE, why)
    assert stated["native_backends"]
    assert record["key"]["server"] == "container"
    rows = record["measurements"]
    assert sorted(row["instances"] for row in rows) == [1, 2]
    assert all(row["throughput_per_s"] > 0 for row in rows)
    assert all(row["memory_mb"] > 50 for row in rows), "the memory of the server in the container"
    assert not containers(place.state)


@pytest.mark.long
def test_the_capacity_in_a_container_tries_the_options_of_its_backend(place, tmp_path):
    """The stand-in's backend warms up itself, as the adapter does, so Triton's warm-up may not help, or by chance."""
    load_tested(place, tmp_path, "--concurrency", 1, "--instances", 1, "--max-batch-sizes", 4, *IN_CONTAINER)
    compared = {"sample": {"relative_error": 0.0}, "evaluation": None, "metric": None}
    write_json(tmp_path / "accuracy.json", {"engine_key": {"precision": "fp32"}, "key": {}, **compared})
    place.program_here(
        "measure_capacity",
        *("--load-test", tmp_path / "record", "--accuracy", tmp_path / "accuracy.json"),
        *("--engine-records", tmp_path / "tiny.engine.json", "--weights-record", tmp_path / "weights.json"),
        *("--hardware", cpu_identity(), "--interface", tmp_path / "interface.json"),
        *("--samples", tmp_path / "samples.npz", "--output", tmp_path / "capacity.json"),
        *("--request-rates", 30, "--requests", 10, "--capacity-minutes", 3, *IN_CONTAINER),
    ).succeeded()
    record = read_json(tmp_path / "capacity.json")
    [trial] = record["trials_of_options"]
    assert (trial["option"], trial["rounds"]) == ("model_warmup", 5)
    helps = trial["ratio"]["high"] < 1
    assert record["serving_options"] == {"model_warmup": helps, "cuda_graphs": False, "pinned_memory": False}
    assert record["configurations"][0]["points"]
    assert not containers(place.state)


@pytest.mark.long
def test_the_next_load_test_removes_the_container_of_one_that_was_killed(place, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "slipway-load-test-killed"
    folder.mkdir()
    folder.with_suffix(".lock").touch()
    server = find_installation(folder, ServerChoice("container", IMAGE, RELEASE), {"openvino"})
    words = ["tritonserver", "--model-repository=/w", "--model-control-mode=explicit"]
    words += Ports.free().flags()
    client = subprocess.Popen(server.container.command(folder.name, {folder: "/w"}, words))
    wait_for(lambda: any(record["pid"] for record in containers(place.state).values()))
    client.kill()
    client.wait()
    assert containers(place.state)
    with new_workspace():
        assert not containers(place.state)
    assert not folder.exists()
