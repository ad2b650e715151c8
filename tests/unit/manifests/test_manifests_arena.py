"""Arena's script, run with a stand-in for `arena` that notes what it is asked, and what its chart makes of that.

The names, labels, ports and probes are those of the chart tritoninferenceserver 0.10.0 in github.com/kubeflow/arena.
"""

import argparse
import json
import os
import subprocess
import sys

import pytest
from helpers.artifacts.measured import DIGEST, L4, Measured, cpu_target, gpu_target

NOTE = f"""#!{sys.executable}
import json, sys
print(json.dumps(sys.argv[1:]))
"""


@pytest.fixture
def measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda **settings: Measured(tmp_path, **settings)


@pytest.fixture
def asked(tmp_path):
    """Return a function that runs a script and returns what it asked of Arena, one list of words a call."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "arena").write_text(NOTE, encoding="utf-8")
    (programs / "arena").chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])

    def run(found, action):
        command = ["bash", str(found.path("deploy/arena.sh")), action]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path})
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def options_of(words):
    """Return the options of `arena serve triton`, by the types that Arena reads them with."""
    assert words[:2] == ["serve", "triton"]
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    texts = ("name", "version", "namespace", "image", "image-pull-policy", "cpu", "memory", "model-repository")
    for name in (*texts, "shell", "extend-command", "allow-metrics"):
        parser.add_argument(f"--{name}")
    for name in ("gpus", "gpumemory", "replicas", "http-port", "grpc-port", "metrics-port"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("data", "selector", "annotation", "image-pull-secret", "env"):
        parser.add_argument(f"--{name}", action="append", default=[])
    return parser.parse_args(words[2:])


def deployment(found):
    return found.one("arena.yaml", "Deployment")


def container(found):
    [only] = deployment(found)["spec"]["template"]["spec"]["containers"]
    return only


def test_bash_reads_the_script(measured):
    script = measured(targets={"h100": gpu_target(), "l4": gpu_target(L4)}).written().path("deploy/arena.sh")
    subprocess.run(["bash", "-n", str(script)], check=True)
    refused = subprocess.run(["bash", str(script)], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "deploy|status|undeploy" in refused.stderr


def test_the_command_says_all_that_arena_would_guess(measured, asked):
    found = measured(deploy={"cluster": {"image_pull_secrets": ["registry"], "replicas": 2}}).written()
    [call] = asked(found, "deploy")
    told = options_of(call)
    path = found.record()["values"]["h100"]["repository_path"]["value"]
    assert (told.name, told.namespace, told.replicas) == ("resnet50-h100", "inference", 2)
    assert told.image == DIGEST
    assert told.data == ["model-repository:/models"]
    assert told.model_repository == f"/models/{path}"
    assert (told.gpus, told.gpumemory) == (1, None)
    assert told.selector == ["nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3"]
    assert told.image_pull_secret == ["registry"]
    assert (told.allow_metrics, told.shell) == ("true", "bash")
    assert all(annotation.count("=") == 1 for annotation in told.annotation), "Arena splits at each"


def test_triton_drains_in_the_grace_that_arena_leaves(measured, asked):
    [call] = asked(measured().written(), "deploy")
    flags = options_of(call).extend_command.split()
    [drain] = [int(flag.split("=")[1]) for flag in flags if flag.startswith("--exit-timeout-secs=")]
    assert drain < 30


def test_the_shell_becomes_triton_which_then_gets_the_signal(measured, tmp_path):
    found = container(measured().written())
    stub = tmp_path / "tritonserver"
    stub.write_text(f"#!{sys.executable}\nimport os\nprint(os.getpid())\n", encoding="utf-8")
    stub.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    command = [*found["command"], *found["args"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PATH": path}) as shell:
        assert int(shell.stdout.read()) == shell.pid


def test_a_shared_gpu_is_asked_for_in_gib(measured, asked):
    found = measured(deploy={"cluster": {"gpu_resources": {"h100": "aliyun.com/gpu-mem"}}}).written()
    [call] = asked(found, "deploy")
    assert (options_of(call).gpus, options_of(call).gpumemory) == (None, 3)
    assert container(found)["resources"]["limits"]["aliyun.com/gpu-mem"] == "3"


def test_a_part_of_a_gpu_by_mig_is_a_gpu_of_its_own_product(measured, asked):
    found = measured(deploy={"cluster": {"gpu_resources": {"h100": "nvidia.com/mig-1g.10gb"}}}).written()
    [call] = asked(found, "deploy")
    assert options_of(call).gpus == 1
    assert options_of(call).selector == ["nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"]


def test_a_cpu_target_asks_for_no_gpu(measured, asked):
    found = measured(targets={"cpu": cpu_target()}).written()
    [call] = asked(found, "deploy")
    assert (options_of(call).gpus, options_of(call).gpumemory, options_of(call).selector) == (None, None, [])
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container(found)["env"]


def test_each_of_a_fleet_is_deployed_shown_and_removed(measured, asked):
    found = measured(targets={"h100": gpu_target(), "l4": gpu_target(L4)}).written()
    deployed = [options_of(call) for call in asked(found, "deploy")]
    named = [(told.name, f"--version={told.version}", "--namespace=inference") for told in deployed]
    assert [name for name, *_ in named] == ["resnet50-h100", "resnet50-l4"]
    listed, *shown = asked(found, "status")
    assert listed == ["serve", "list", "--namespace=inference"]
    assert shown == [["serve", "get", *words] for words in named]
    assert asked(found, "undeploy") == [["serve", "delete", *words] for words in named]


def test_the_objects_are_named_and_labelled_as_the_chart_does(measured, asked):
    found = measured().written()
    [call] = asked(found, "deploy")
    told = options_of(call)
    release = f"{told.name}-{told.version}"
    labels = {
        "heritage": "Helm",
        "release": release,
        "chart": "tritoninferenceserver-0.10.0",
        "app": "tritoninferenceserver",
        "servingName": told.name,
        "servingVersion": told.version,
        "servingType": "triton-serving",
    }
    for made in found.objects("arena.yaml"):
        assert made["metadata"]["name"] == f"{release}-tritoninferenceserver"
        assert made["metadata"]["labels"] == labels
    selector = {"release": release, "app": "tritoninferenceserver"}
    assert deployment(found)["spec"]["selector"]["matchLabels"] == selector
    assert deployment(found)["spec"]["template"]["metadata"]["labels"] == {**labels, "serviceName": told.name}
    assert found.one("arena.yaml", "Service")["spec"]["selector"] == selector


def test_the_container_is_what_the_command_asks_for(measured, asked):
    found = measured().written()
    [call] = asked(found, "deploy")
    told = options_of(call)
    assert (container(found)["name"], container(found)["image"]) == ("tritonserver", told.image)
    assert container(found)["command"] == [told.shell, "-c"]
    [line] = container(found)["args"]
    assert line == (
        f"tritonserver --http-port={told.http_port} --grpc-port={told.grpc_port} --metrics-port={told.metrics_port} "
        f"--allow-metrics={told.allow_metrics} --model-repository={told.model_repository} {told.extend_command}"
    )
    stated = [f"{each['name']}={each['value']}" for each in container(found)["env"] if "value" in each]
    assert (stated, bool(stated)) == (told.env, True)
    limits = {"cpu": told.cpu, "memory": told.memory, "nvidia.com/gpu": str(told.gpus)}
    assert container(found)["resources"] == {"limits": limits}
    [claim] = deployment(found)["spec"]["template"]["spec"]["volumes"]
    assert claim == {"name": "model-repository", "persistentVolumeClaim": {"claimName": "model-repository"}}


def test_ports_and_probes_are_the_charts(measured):
    found = measured().written()
    assert [(port["name"], port["containerPort"]) for port in container(found)["ports"]] == [
        ("http", 8000),
        ("grpc", 8001),
        ("metrics", 8002),
    ]
    ports = found.one("arena.yaml", "Service")["spec"]["ports"]
    assert [port["name"] for port in ports] == ["http-serving", "grpc-serving", "http-metrics"]
    for kind, path in {"livenessProbe": "live", "readinessProbe": "ready"}.items():
        assert container(found)[kind] == {
            "httpGet": {"path": f"/v2/health/{path}", "port": "http"},
            "failureThreshold": 30,
            "initialDelaySeconds": 100,
            "periodSeconds": 5,
        }
