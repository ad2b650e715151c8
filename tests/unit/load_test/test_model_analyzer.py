import subprocess
import sys

import pytest
from helpers.models.classifier_contract import classifier

from slipway.core.errors import SlipwayError
from slipway.core.serving_environment import serving_program
from slipway.load_test import model_analyzer
from slipway.load_test.model_analyzer import configuration, perf_analyzer
from slipway.load_test.sweep import Sweep
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_config import Served, model_config, write_config
from slipway.triton.server.environment import ALLOCATION
from slipway.triton.server.installation import Installation

SWEEP = Sweep(concurrency=[1, 64], instances=[2, 4], max_batch_sizes=[8, 32], requests=100, stability_percent=10)
ENGINE = Served("m_fp16", "tensorrt", "fp16", classifier("float32", 64, 7), 8, 2, ((1, 1, 1), (1, 8, 32)))


def tritonserver(folder):
    """Return a stand-in for a tritonserver that can guard, and prints its environment and flags, one a line."""
    program = folder / "tritonserver"
    program.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --help ] && echo --http-restricted-api && exit 1\n'
        'printf "%s\\n" "${CUDA_VISIBLE_DEVICES-no choice}" "$LD_LIBRARY_PATH" "$MALLOC_TRIM_THRESHOLD_" "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def settings_for(workspace, backend, program="tritonserver"):
    write_config(workspace / "repository" / "m_fp16" / "config.pbtxt", model_config(ENGINE, backend))
    server = Installation(str(program), backend != "python", workspace)
    return configuration(["m_fp16"], SWEEP, Ports(None, 2, 3), server, workspace, "the-key")


@pytest.mark.parametrize(
    ("backend", "kept"),
    [("python", {"kind": ["KIND_CPU"]}), ("tensorrt", {"kind": ["KIND_GPU"], "profile": [["0", "1"]]})],
)
def test_what_is_varied_keeps_the_rest_of_the_instance_group(tmp_path, backend, kept):
    varied = settings_for(tmp_path, backend)["profile_models"]["m_fp16"]
    assert varied["model_config_parameters"] == {
        "instance_group": [{"count": [2, 4], **kept}],
        "max_batch_size": [8, 32],
    }
    assert varied["parameters"] == {"concurrency": [1, 64]}


def test_perf_analyzer_is_not_killed_for_the_cpus_that_it_takes(tmp_path):
    fast_server_percent = 2515  # of 16 CPUs, as Model Analyzer measured perf_analyzer there
    assert settings_for(tmp_path, "python")["perf_analyzer_cpu_util"] > 10 * fast_server_percent


@pytest.fixture
def searched(tmp_path, monkeypatch):
    def settings(search, delays):
        sweep = Sweep([1, 4], [1, 3], [2, 16], 30, 10, batching_delays_us=delays, search=search)
        monkeypatch.setattr(sys.modules[__name__], "SWEEP", sweep)
        return settings_for(tmp_path, "python")

    return settings


def test_a_quick_search_is_bounded_by_the_ends_of_the_lists(searched):
    settings = searched("quick", [100])
    bounds = {name: value for name, value in settings.items() if name.startswith("run_config_search_")}
    assert bounds == {
        "run_config_search_mode": "quick",
        "run_config_search_min_concurrency": 1,
        "run_config_search_max_concurrency": 4,
        "run_config_search_min_instance_count": 1,
        "run_config_search_max_instance_count": 3,
        "run_config_search_min_model_batch_size": 2,
        "run_config_search_max_model_batch_size": 16,
    }
    assert not {"parameters", "model_config_parameters"} & settings["profile_models"]["m_fp16"].keys()


def test_an_optuna_search_takes_its_points_of_the_lists(searched):
    settings = searched("optuna", [0, 100])
    varied = settings["profile_models"]["m_fp16"]
    assert varied["parameters"] == {"concurrency": [1, 4]}
    assert varied["model_config_parameters"]["max_batch_size"] == [2, 16]
    assert varied["model_config_parameters"]["dynamic_batching"] == {"max_queue_delay_microseconds": [0, 100]}
    assert settings["optuna_max_trials"] == 16


def test_delays_are_varied_with_the_rest(tmp_path, monkeypatch):
    sweep = Sweep([1], [2], [8], requests=100, stability_percent=10, batching_delays_us=[0, 100, 500])
    monkeypatch.setattr(sys.modules[__name__], "SWEEP", sweep)
    varied = settings_for(tmp_path, "python")["profile_models"]["m_fp16"]["model_config_parameters"]
    assert varied["dynamic_batching"] == {"max_queue_delay_microseconds": [100, 500]}
    delays = [point["queue_delay_us"] for point in sweep.points(["m_fp16"])]
    assert delays == [0, 100, 500]


@pytest.mark.parametrize(("requests", "expected"), [(100, 256), (5000, 5000)])
def test_a_window_holds_several_rounds_of_what_is_in_flight(requests, expected):
    assert Sweep([1, 64], [1], [1], requests, 10).window == expected


def test_the_window_is_what_perf_analyzer_is_told(tmp_path):
    flags = settings_for(tmp_path, "python")["profile_models"]["m_fp16"]["perf_analyzer_flags"]
    assert flags["measurement-request-count"] == 256
    assert flags["input-data"] == [str(tmp_path / "m_fp16.input.json")]


def test_the_server_sees_the_gpus_that_model_analyzer_would_hide(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/of/the/server")
    settings = settings_for(tmp_path, "python", tritonserver(tmp_path))
    # As Model Analyzer starts it: no GPU to be seen, and perf_analyzer's libraries.
    hidden = {"CUDA_VISIBLE_DEVICES": "", "LD_LIBRARY_PATH": "/of/perf_analyzer", "PATH": "/usr/bin:/bin"}
    command = [settings["triton_server_path"], "--grpc-port", "2"]
    done = subprocess.run(command, env=hidden, capture_output=True, text=True, check=True)
    [gpus, libraries, kept_bytes, *flags] = done.stdout.splitlines()
    assert (gpus, libraries, kept_bytes) == ("3", "/of/the/server", ALLOCATION["MALLOC_TRIM_THRESHOLD_"])
    assert flags[-2:] == ["--grpc-port", "2"]


def test_the_server_of_a_load_test_is_guarded_as_a_deployed_one_is(tmp_path):
    program = tritonserver(tmp_path)
    launcher = settings_for(tmp_path, "python", program)["triton_server_path"]
    flags = subprocess.run([launcher], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"--allow-http=false", "--grpc-address=127.0.0.1", "--metrics-address=127.0.0.1"} <= set(flags)
    assert "--grpc-restricted-protocol=logging,model-repository,trace:slipway-key=the-key" in flags
    assert any(flag.startswith("--grpc-restricted-protocol=shared-memory:shared memory: off=") for flag in flags)


def test_without_a_choice_of_gpus_the_server_sees_all(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    command = [settings_for(tmp_path, "python", tritonserver(tmp_path))["triton_server_path"]]
    done = subprocess.run(command, env={"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "no choice"


def test_perf_analyzer_is_the_one_of_the_environment_that_serves_else_the_one_on_path(tmp_path, monkeypatch):
    on_path = tmp_path / "perf_analyzer"
    on_path.write_text("#!/bin/sh\n", encoding="utf-8")
    on_path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert perf_analyzer() == str(serving_program("perf_analyzer"))
    monkeypatch.setattr(model_analyzer, "serving_program", lambda name: tmp_path / "nowhere" / name)
    assert perf_analyzer() == str(on_path)
    on_path.unlink()
    with pytest.raises(SlipwayError, match="perf_analyzer is not installed here; scripts/make_serving "):
        perf_analyzer()


@pytest.mark.parametrize(
    ("instances", "sizes", "asked"),
    [
        ([4], [32], None),
        ([2, 4], [8], {"count": [4], "sizes": [8]}),
        ([4], [8, 32], {"count": [4], "sizes": [32]}),
    ],
    ids=["one configuration", "instances", "batch sizes"],
)
def test_the_configuration_that_is_always_measured_is_not_asked_for(tmp_path, monkeypatch, instances, sizes, asked):
    sweep = Sweep([1], instances, sizes, requests=100, stability_percent=10)
    monkeypatch.setattr(sys.modules[__name__], "SWEEP", sweep)
    settings = settings_for(tmp_path, "python")
    varied = settings["profile_models"]["m_fp16"].get("model_config_parameters")
    assert settings["run_config_search_disable"] == (asked is None)
    if asked is None:
        assert varied is None
    else:
        assert varied["instance_group"][0]["count"] == asked["count"]
        assert varied["max_batch_size"] == asked["sizes"]
