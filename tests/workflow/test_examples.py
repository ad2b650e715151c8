"""Each example of docs/examples, from its configuration to answers through Triton."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers.examples import PYTHONPATH, Reference, configuration, samples_of, steps
from helpers.workplace import REPOSITORY, Workplace, free_ports
from matplotlib import cbook
from PIL import Image

from slipway.contract.contract import Contract
from slipway.core.artifacts import read_json
from slipway.core.hardware import cpu_identity
from slipway.keys.precisions import refusal

pytestmark = pytest.mark.slow

# `make examples` runs them. Two models of different data share one configuration.
DEPLOYMENTS = [
    pytest.param(names, marks=pytest.mark.long, id=" and ".join(names))
    for names in (
        ("text",),
        ("image_and_table", "embedding"),
        ("audio", "grayscale", "non_square"),
        ("segmentation",),
        ("detection",),
        ("timm",),
        ("transformers_image", "transformers_text"),
        ("onnx_file",),
        ("exported_program", "torchscript"),
    )
]
BATCH = 4
SHORTEST = {
    "profile": {"steps": 1},
    "benchmark": {"batch_sizes": [1], "seconds": 0.1, "warmup_seconds": 0.05, "min_samples": 2, "budget_seconds": 1},
    "load_test": {
        "p99_limit_ms": 10_000,
        "concurrency": [1],
        "instances": [1],
        "max_batch_sizes": [BATCH],
        "requests": 10,
        "request_rates": [],
    },
}
TENSORS = {
    "text": [
        "input_ids int64 (batch, sequence)",
        "attention_mask int64 (batch, sequence)",
        "topic float32 (batch, 4)",
    ],
    "image_and_table": [
        "photo uint8 (batch, 3, 96, 96)",
        "table float32 (batch, 4)",
        "price float32 (batch, 1)",
        "condition float32 (batch, 3)",
    ],
    "embedding": ["picture uint8 (batch, 3, 64, 64)", "embedding float32 (batch, 64)"],
    "audio": ["waveform float32 (batch, time)", "voiced float32 (batch, ?)"],
    "grayscale": ["digit uint8 (batch, 1, 28, 28)", "scores float32 (batch, 10)"],
    "non_square": ["heights float32 (batch, 1, 48, 160)", "slope float32 (batch, 2)"],
    "segmentation": ["input uint8 (batch, 3, height, width)", "out float32 (batch, 21, height, width)"],
    "detection": [
        "pictures uint8 (batch, 3, 320, 320)",
        "boxes float32 (batch, 3234, 4)",
        "scores float32 (batch, 3234, 91)",
    ],
}
TENSORS |= {
    "timm": ["input float32 (batch, 3, 160, 160)", "logits float32 (batch, 3)"],
    "transformers_image": ["input float32 (batch, 3, 64, 64)", "logits float32 (batch, 3)"],
    "transformers_text": [
        "input_ids int64 (batch, sequence)",
        "attention_mask int64 (batch, sequence)",
        "logits float32 (batch, 4)",
    ],
    "exported_program": [
        "history float32 (batch, hours)",
        "temperature float32 (batch, 6)",
        "load float32 (batch, 6)",
        "peak float32 (batch, 1)",
    ],
    "torchscript": ["motion float32 (batch, time, 3)", "gesture float32 (batch, 3)"],
    "onnx_file": ["pixels float32 (batch, 64)", "probabilities float32 (batch, 10)"],
}
WITH_SCORES = dict.fromkeys(
    ("text", "grayscale", "timm", "transformers_image", "transformers_text", "torchscript"), "logits"
)
WITH_SCORES["onnx_file"] = "probabilities"
# Words of the classification task.
OF_CLASSES = re.compile(r"\b(class(es)?|classification|photograph|top-1|crop|logits?)\b", re.IGNORECASE)
MAX_RELATIVE_ERROR = 1e-3


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def deployed(request, tmp_path_factory):
    """Return a folder in which examples were carried from their checkpoints to a server, and their names."""
    folder = tmp_path_factory.mktemp("example")
    (folder / "docs").symlink_to(REPOSITORY / "docs")
    workplace = Workplace(folder, {**configuration(*request.param), **SHORTEST, "deploy": free_ports()})
    for command in [command for name in request.param for command in steps(name)]:
        workplace.run([sys.executable, *command], PYTHONPATH=PYTHONPATH, OMP_NUM_THREADS="1").succeeded()
    workplace.last_words = workplace.snakemake("deploy", PYTHONPATH=PYTHONPATH).succeeded().said
    yield workplace, request.param
    workplace.snakemake("undeploy", PYTHONPATH=PYTHONPATH)


def asked(workplace, name, samples, batch):
    """Return the answers of scripts/infer.py to samples, at most `batch` of them in one request."""
    questions, answers = workplace.path(f"{name}.questions.npz"), workplace.path(f"{name}.answers.npz")
    np.savez(questions, **{f"{i}/{key}": array for i, sample in enumerate(samples) for key, array in sample.items()})
    options = ("--output", answers, "--model", f"{name}_trt", "--batch", batch)
    workplace.program("infer", questions, *options).succeeded()
    with np.load(answers) as archive:
        arrays = {key: archive[key] for key in archive.files}
    return [
        {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{number}/")}
        for number in range(len(samples))
    ]


@pytest.mark.parametrize("batch", [1, BATCH])
def test_the_answers_through_triton_are_those_of_the_models_own_library(deployed, batch):
    workplace, names = deployed
    for name in names:
        samples, reference = samples_of(name, workplace.folder), Reference(name, workplace.folder)
        answers = asked(workplace, name, samples, batch)
        expected = [reference(sample) for sample in samples]
        for output in expected[0]:
            assert [answer[output].shape for answer in answers] == [one[output].shape for one in expected], output
            errors = [apart(answer[output], one[output]) for answer, one in zip(answers, expected, strict=True)]
            assert max(errors) <= MAX_RELATIVE_ERROR, (name, output)
            assert varies([one[output] for one in expected]), f"{name}: {output} shows nothing"


def apart(answer, expected):
    return np.linalg.norm(answer - expected) / np.linalg.norm(expected)


def varies(outputs):
    """Say whether one answer for all samples would be noticed."""
    smallest = np.minimum.reduce([output.shape for output in outputs])
    cut = [output[tuple(map(slice, smallest))] for output in outputs]
    return max(apart(cut[0], other) for other in cut[1:]) > 10 * MAX_RELATIVE_ERROR


def test_the_contract_is_the_models(deployed):
    workplace, names = deployed
    for name in names:
        contract = Contract.read(workplace.path(f"results/{name}/contract.json"))
        assert [tensor.in_words() for tensor in (*contract.inputs, *contract.outputs)] == TENSORS[name]
        stated = configuration(name)["models"][name]
        assert {axis: vars(sizes) for axis, sizes in contract.axes.items()} == stated.get("axes", {})
        kinds = {tensor.meaning.kind for tensor in contract.outputs}
        assert kinds == {WITH_SCORES.get(name, "tensor")}


def test_the_metric_was_held_against_its_limits(deployed):
    workplace, names = deployed
    for name in names:
        metric = configuration(name)["models"][name].get("metric")
        record = json.loads(workplace.path(f"results/{name}/cpu/{name}.fp32.accuracy.json").read_text(encoding="utf-8"))
        values = record["metric"]["engine"] if metric else {}
        for value, limit in (metric or {}).get("limits", {}).items():
            assert limit.get("min", -np.inf) <= values[value] <= limit.get("max", np.inf)


def test_nothing_is_called_a_class(deployed):
    workplace, names = deployed
    for name in set(names) - set(WITH_SCORES):
        lines = [line for line in workplace.last_words.splitlines() if name in line]
        report = workplace.path(f"results/{name}/report.html").read_text(encoding="utf-8")
        words = re.sub(r"<style.*?</style>|<[^>]*>|data:[^\"']*", " ", report, flags=re.DOTALL)
        served = workplace.path(f"results/{name}/cpu/repository/{name}_trt/config.pbtxt").read_text(encoding="utf-8")
        for text in ("\n".join(lines), words, served):
            found = [text[max(0, m.start() - 60) : m.end() + 60] for m in OF_CLASSES.finditer(text)]
            assert not found, (name, found)


CLASSES = {
    "text": "delivery|payment|defect|account",
    "transformers_text": "delivery|payment|defect|account",
    "transformers_image": "reddish|greenish|bluish",
    "timm": "reddish|greenish|bluish",
    "torchscript": "circle|wave|tap",
}


def test_an_answer_gets_the_name_of_its_class(deployed):
    workplace, names = deployed
    of_classes = [name for name in names if name in CLASSES]
    if not of_classes:
        pytest.skip("another example")
    for name in of_classes:
        assert re.search(rf"{name}_trt answers .*\n\s+\d+\.\d%\s+({CLASSES[name]})", workplace.last_words), name


@pytest.mark.long
def test_the_demo_knows_the_sample_photograph_and_calibrates_on_a_folder(clone, tmp_path):
    page = clone.path("docs/examples/efficientnet_lite0/config.yaml")
    page.write_text(f"{page.read_text(encoding='utf-8')}\ndeploy: {json.dumps(free_ports())}\n", encoding="utf-8")
    answer = re.compile(r"answers the sample photograph in .*\n +\d+\.\d%  military uniform")
    said = clone.run(["make", "demo"]).succeeded().said
    assert answer.search(said)
    with_int8 = clone.run(["make", "demo", f"PHOTOGRAPHS={views(tmp_path / 'a b')}"])
    if unavailable := refusal("openvino", "", cpu_identity(), "int8"):
        with_int8.refused(unavailable)
    else:
        assert answer.search(with_int8.succeeded().said)
        measured = read_json(clone.path("results/efficientnet_lite0/cpu/efficientnet_lite0.benchmark.json"))
        assert {"fp32", "int8"} <= measured["best_throughput"].keys()
    (undeploy,) = set(re.findall(r"stop it with: (snakemake .*?)(?:  |$)", said, re.MULTILINE))
    clone.run(["bash", "-c", f"source .venv/bin/activate && {undeploy}"]).succeeded()


def views(folder, count=32):
    """Write views of the sample photograph, and return their folder."""
    folder.mkdir()
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as photograph:
        for index in range(count):
            left, top = 5 * index, 2 * index
            photograph.crop((left, top, left + 350, top + 500)).save(folder / f"{index}.jpg")
    return folder


@pytest.fixture
def bucket():
    """Start moto, which behaves as S3 does; return the environment in which programs find it."""
    pytest.importorskip("moto", reason="`make examples` installs moto and runs this")
    port = free_ports()["http_port"]
    command = [sys.executable, "-m", "moto.server", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        yield {
            "PYTHONPATH": PYTHONPATH,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "AKIAHUNTER2",
            "AWS_SECRET_ACCESS_KEY": "hunter2-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }
        server.terminate()


@pytest.mark.long
def test_a_checkpoint_in_a_bucket_is_fetched_once_and_its_credentials_are_nowhere(tmp_path, bucket):
    (tmp_path / "docs").symlink_to(REPOSITORY / "docs")
    workplace = Workplace(tmp_path, {**configuration("storage"), **SHORTEST, "deploy": free_ports()})
    upload = [sys.executable, "-m", "docs.examples.storage.upload"]
    workplace.run(upload, **bucket).succeeded()
    workplace.snakemake("deploy", **bucket).succeeded()
    try:
        (copy,) = workplace.path("results/.fetched").glob("*/best.pth")
        before = copy.stat().st_mtime_ns
        assert "Nothing to be done" in workplace.snakemake("-n", "deploy", **bucket).succeeded().said
        workplace.run([*upload, "--seed", "1"], **bucket).succeeded()
        assert "weights in storage ETag" in workplace.snakemake("-n", "deploy", **bucket).succeeded().said
        assert copy.stat().st_mtime_ns == before
        gone = {**bucket, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
        assert "the copy that was fetched at" in workplace.snakemake("-n", "deploy", **gone).succeeded().said
        without = {**bucket, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(tmp_path)}
        without |= {"AWS_EC2_METADATA_DISABLED": "true"}
        workplace.snakemake("-n", "deploy", **without).refused("models.storage.weights", "no credentials")
    finally:
        workplace.snakemake("undeploy", **bucket)
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]:
        assert b"hunter2" not in path.read_bytes().lower(), path
