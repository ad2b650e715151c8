"""The pods that Snakemake's Kubernetes executor makes of the workflow, taken by a stand-in of the API server.

No pod runs: the stand-in says of each that it failed, so what is looked at are the jobs that were asked for.
"""

import json
import os
import re
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from helpers.programs.debian_packages import Unavailable, unpacked
from helpers.workplace import REPOSITORY, Workplace, tiny_configuration

from slipway.core.hardware import cpu_identity

EXECUTORS = Path(sys.executable).parents[1] / "executors"
JOBS = re.compile(r"/apis/batch/v1/namespaces/slipway/jobs(?:/(?P<name>[^/]+))?(?:/status)?$")
MADE = (
    "weights.safetensors",
    "weights.json",
    "samples.npz",
    "samples.json",
    "contract.json",
    "interface.json",
    "labels.txt",
    "reference_outputs.npz",
    "reference_outputs.json",
    "tiny.onnx",
    "tiny.onnx.data",
    "tiny.onnx.json",
)
TARGETS = {
    "cpu": {"runtime": "openvino", "precisions": ["fp32"], "hardware": cpu_identity()},
    "l4": {
        "runtime": "tensorrt",
        "precisions": ["fp32", "fp16"],
        "hardware": "NVIDIA L4 (compute capability 8.9)",
        "tensorrt": {"version": "10.13.3.9", "cuda": "cu13"},
        "cluster": {"machine_type": "g2-standard-8"},
    },
}


class Cluster(BaseHTTPRequestHandler):
    """One connection to the stand-in; `jobs` are those that were created."""

    jobs = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if JOBS.match(self.path):
            self.jobs[body["metadata"]["name"]] = body
        self._answer(body)

    def do_GET(self):
        job = JOBS.match(self.path.partition("?")[0])
        self._answer({**self.jobs[job["name"]], "status": {"failed": 1}} if job else {"kind": "PodList", "items": []})

    def do_DELETE(self):
        self._answer({"kind": "Status", "status": "Success"})

    def _answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def rsync(request):
    """Return the variables with which rsync is found, which the storage of a claim copies with."""
    if shutil.which("rsync"):
        return {}
    try:
        root = unpacked(request.config.cache.mkdir("rsync"), ("rsync", "libpopt0", "libxxhash0")) / "usr"
    except Unavailable as why:
        pytest.skip(f"no rsync here: {why}")
    libraries = next(root.glob("lib/*"))
    return {"PATH": f"{root / 'bin'}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(libraries)}


@pytest.fixture(scope="module")
def created(tmp_path_factory, rsync):
    """Return what was created for the two targets, and the folder that stands for the claim.

    What engines are made from lies there, empty, so that their jobs are the first.
    """
    if not (EXECUTORS / "snakemake_storage_plugin_fs").is_dir():
        pytest.skip(f"no executors for clusters: `make test` puts them into {EXECUTORS}")
    place = Workplace(tmp_path_factory.mktemp("login"), tiny_configuration() | {"targets": TARGETS})
    place.path("good.pth").touch()
    claim = tmp_path_factory.mktemp("claim")
    for name in MADE:
        (claim / "results" / "tiny" / name).parent.mkdir(parents=True, exist_ok=True)
        (claim / "results" / "tiny" / name).touch()
    found = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Cluster,), {"jobs": found}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        environment = variables(place, server.server_port) | rsync
        place.run(command(place, claim), **environment).refused("failed")
    finally:
        server.shutdown()
        server.server_close()
    return list(found.values()), claim


def command(place, claim):
    """Return the command line that submits what makes the profile and the FP32 engines."""
    engines = [f"results/tiny/{target}/tiny.fp32.engine.json" for target in TARGETS]
    return [
        *(str(Path(sys.executable).with_name("snakemake")), "-s", str(REPOSITORY / "Snakefile"), "--keep-going"),
        *("--directory", str(place.folder), "--profile", str(REPOSITORY / "profiles" / "kubernetes"), *engines),
        *("--retries", "0", "--default-storage-prefix", str(claim), "--seconds-between-status-checks", "1"),
        *("--kubernetes-persistent-volumes", f"slipway-results:{claim}"),
    ]


def variables(place, port):
    """Return the environment in which the executor finds the stand-in."""
    named = {"name": "test", "context": {"cluster": "test", "user": "test"}}
    cluster = {"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    content = {"apiVersion": "v1", "kind": "Config", "current-context": "test", "contexts": [named]}
    content |= {"clusters": [cluster], "users": [{"name": "test", "user": {"token": "test"}}]}
    place.path("kubeconfig").write_text(yaml.safe_dump(content), encoding="utf-8")
    return {"KUBECONFIG": str(place.path("kubeconfig")), "PYTHONPATH": str(EXECUTORS)}


def pod_of(jobs, target):
    """Return the only pod that builds the engine of a target."""
    pods = [job["spec"]["template"]["spec"] for job in jobs]
    (found,) = [pod for pod in pods if f"target={target}" in " ".join(pod["containers"][0]["args"])]
    return found


def test_every_job_is_one_that_kubernetes_takes(created):
    for job in created[0]:
        kubernetes_validate.validate({"apiVersion": "batch/v1", "kind": "Job", **job}, "1.31", strict=True)


def test_only_the_pod_of_a_gpu_target_gets_a_gpu_and_its_nodes(created):
    gpu, cpu = (pod_of(created[0], target) for target in ("l4", "cpu"))
    resources = gpu["containers"][0]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == "1"
    assert gpu["nodeSelector"] == {"node.kubernetes.io/instance-type": "g2-standard-8"}
    assert [each["key"] for each in gpu["tolerations"]] == ["nvidia.com/gpu"]
    assert not any("gpu" in name for name in cpu["containers"][0]["resources"]["limits"])
    assert "tolerations" not in cpu
    assert cpu["nodeSelector"] == {}


def test_pods_have_the_profiles_image_account_memory_and_claim(created):
    profile = yaml.safe_load((REPOSITORY / "profiles" / "kubernetes" / "profile.yaml").read_text(encoding="utf-8"))
    pod = pod_of(created[0], "l4")
    (container,) = pod["containers"]
    assert container["image"] == profile["container-image"]
    assert pod["serviceAccountName"] == profile["kubernetes-service-account-name"]
    assert container["resources"]["limits"]["memory"] == "16000M"
    assert {"name": "slipway-results", "mountPath": str(created[1])} in container["volumeMounts"]
    claims = [each["persistentVolumeClaim"] for each in pod["volumes"] if "persistentVolumeClaim" in each]
    assert claims == [{"claimName": "slipway-results"}]
    assert not container.get("securityContext")
