"""The commands of README.md, run one after the other in a copy of this repository: the default ResNet-50, for real."""

import re
import subprocess

import pytest
from helpers.pages import blocks, printed

pytestmark = pytest.mark.slow


def commands() -> list[str]:
    """Return the commands of README's shell blocks, in their order, without their comments."""
    lines = [line for block in blocks("README.md", "sh") for line in block.splitlines() if line.strip()]
    return [line.split("  #")[0].strip() for line in lines]


@pytest.fixture(scope="module")
def outputs(clone) -> dict[str, str]:
    """Return what each command printed."""
    return printed(clone, {command: f"source .venv/bin/activate && {command}" for command in commands()})


def test_the_first_command_ends_with_the_proof(outputs, clone):
    shown = outputs["make deploy"]
    assert re.search(r"resnet50_trt answers the sample photograph in [\d.]+ ms", shown)
    assert re.search(r"\d+\.\d%  .+ \(class \d+\)", shown)
    assert f"gRPC {clone.ports.grpc}, metrics http://127.0.0.1:{clone.ports.metrics}/metrics" in shown


def test_a_deploy_after_it_has_nothing_to_do(outputs):
    assert "Nothing to be done" in outputs["snakemake --cores 1 deploy"]
    assert "Nothing to be done" in outputs["snakemake -n deploy"]
    assert "Nothing to be done" in outputs["snakemake --cores 1 evidence"]


def test_manifests_need_no_setting(outputs, clone):
    assert "is the newest release known here" in outputs["snakemake --cores 1 manifests"]
    assert clone.path("results/resnet50/deploy/kubernetes.yaml").stat().st_size > 0


def test_status_and_undeploy_do_what_they_say(outputs):
    assert "resnet50_trt: answers; live on local since" in outputs["snakemake --cores 1 status"]
    assert "removed tritonserver" in outputs["snakemake --cores 1 undeploy"]


def test_every_artifact_of_the_table_is_there(outputs, clone):
    for name in [
        "report.html",
        "weights.safetensors",
        "weights.json",
        "contract.json",
        "labels.txt",
        "reference_outputs.npz",
        "reference_outputs.json",
        "profile/resnet50.pt.trace.json.gz",
        "profile/profile.json",
        "resnet50.onnx",
        "resnet50.onnx.json",
        "cpu/resnet50.fp32.openvino.xml",
        "cpu/resnet50.fp32.engine.json",
        "cpu/resnet50.benchmark.json",
        "cpu/resnet50.fp32.accuracy.json",
        "cpu/analysis/summary.pdf",
        "cpu/analysis/detail.pdf",
        "cpu/analysis/analysis.csv",
        "cpu/selection.json",
        "cpu/repository/resnet50_trt/config.pbtxt",
        "cpu/repository.json",
    ]:
        assert clone.path(f"results/resnet50/{name}").stat().st_size > 0


@pytest.mark.long
def test_the_pictures_are_drawn_from_the_workflow_and_the_records(clone):
    names = ("rulegraph.png", "readme.svg", "throughput_latency.svg", "memory_latency.svg")
    pictures = [clone.folder / "docs" / name for name in names]
    before = [picture.read_bytes() for picture in pictures]
    for picture in pictures:
        picture.unlink()
    done = subprocess.run(["make", "pictures"], cwd=clone.folder, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    assert [picture.read_bytes() for picture in pictures[2:]] == before[2:]
    old, new = (sorted(words_of(svg.decode())) for svg in (before[1], pictures[1].read_bytes()))
    assert new == old, "run make pictures"


def words_of(svg: str) -> list[str]:
    """Return the texts of README's picture, without hashes and the numbers of jobs, which may change."""
    return [re.sub(r"[0-9a-f]{8}\.\.|Job \d+", "", text) for text in re.findall(r">([^<>]+)</text>", svg)]
