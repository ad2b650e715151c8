import copy
import datetime
import math

import pytest
import tensorrt_rtx
from helpers.minimal_config import minimal, model, target

from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.config_schema import schema


def refusal(config: dict) -> str:
    with pytest.raises(SlipwayError) as caught:
        complete(config)
    return str(caught.value)


# Mistakes: (configuration, key, value, words that say what is allowed)

MISTAKES = {
    "a metric without data": (
        model(metric={"function": "my.metrics:error"}),
        "`models.m.metric`",
        "",
        ["answers to evaluation data", "`accuracy.labelled`"],
    ),
    "a metric that is no function": (
        model(metric={"function": "my.metrics"}),
        "`models.m.metric.function`",
        "my.metrics",
        [],
    ),
    "a floor without photographs": (
        minimal(accuracy={"min_top1": 0.8}),
        "`accuracy.min_top1`",
        "0.8",
        ["`accuracy.labelled`"],
    ),
    "unknown key": (minimal(modells={}), "`modells`", "", ["models", "targets", "load_test"]),
    "unknown key below": (minimal(deploy={"prot": 1}), "`deploy.prot`", "", ["http_port", "grpc_port", "metrics_port"]),
    "class names of a tensor": (
        model(output="tensor", labels="names.txt"),
        "`models.m.output`",
        "tensor",
        ["labels", "names.txt"],
    ),
    "unknown meaning of outputs": (
        model(output="scores"),
        "`models.m.output`",
        "'scores'",
        ["logits", "sigmoid", "tensor"],
    ),
    "unknown key of a model": (model(crop=224), "`models.m.crop`", "", ["architecture", "preprocess"]),
    "text for a number": (
        minimal(deploy={"http_port": "8000"}),
        "`deploy.http_port`",
        "'8000'",
        ["whole number", "65535"],
    ),
    "bool for a number": (minimal(profile={"steps": True}), "`profile.steps`", "True", ["whole number"]),
    "text for a switch": (minimal(tensorrt={"refit": "yes"}), "`tensorrt.refit`", "'yes'", ["true or false"]),
    "nothing for a section": (minimal(benchmark=None), "`benchmark`", "None", ["mapping"]),
    "nothing for a model": (minimal(models={"m": None}), "`models.m`", "None", ["mapping"]),
    "list for a map": (minimal(models=["resnet50"]), "`models`", "['resnet50']", ["mapping"]),
    "no models": (minimal(models={}), "`models`", "{}", ["at least 1"]),
    "name with a space": (minimal(models={"my model": {}}), "`models`", "the name 'my model'", ["A-Za-z0-9"]),
    "name that no file has": (minimal(models={"m" * 101: {}}), "`models`", "the name 'mmmm", ["at most 100"]),
    "name with a slash": (minimal(targets={"a/b": {}}), "`targets", "'a/b'", ["A-Za-z0-9"]),
    "name that is a number": (minimal(models={50: {}}), "`models", "50", ["text"]),
    "unknown architecture": (
        model(architecture="resnet51"),
        "`models.m.architecture`",
        "'resnet51'",
        ["must be a torchvision classifier", "package.module:factory"],
    ),
    "weights of another kind": (model(weights="model.h5"), "`models.m.weights`", "'model.h5'", [".safetensors"]),
    "weights that torchvision has not": (
        model(architecture="resnet50", weights="IMAGENET1K_V3"),
        "`models.m.weights`",
        "IMAGENET1K_V3",
        ["IMAGENET1K_V1 and IMAGENET1K_V2 of resnet50"],
    ),
    "unknown precision": (target(precisions=["fp12"]), "`targets.cpu.precisions", "'fp12'", ["fp32", "bf16"]),
    "precision without a list": (target(precisions="fp32"), "`targets.cpu.precisions`", "'fp32'", ["auto", "list"]),
    "unknown runtime": (target(runtime="tensorflow"), "`targets.cpu.runtime`", "'tensorflow'", ["openvino", "auto"]),
    "empty hardware": (target(hardware=""), "`targets.cpu.hardware`", "''", ["at least 1"]),
    "unknown interpolation": (
        model(preprocess={"interpolation": "nearest"}),
        "`models.m.preprocess.interpolation`",
        "'nearest'",
        ["bilinear", "bicubic"],
    ),
    "two channels": (model(preprocess={"mean": [0, 0]}), "`models.m.preprocess.mean`", "[0, 0]", ["3"]),
    "four channels": (
        model(preprocess={"mean": [0, 0, 0, 0]}),
        "`models.m.preprocess.mean`",
        "[0, 0, 0, 0]",
        ["exactly 3 items"],
    ),
    "mean of 0..255": (
        model(preprocess={"mean": [124, 0, 0]}),
        "`models.m.preprocess.mean`",
        "124",
        ["write [0.4863, 0, 0]"],
    ),
    "deviation of zero": (model(preprocess={"std": [0, 1, 1]}), "`models.m.preprocess.std.0`", "0", ["more than 0"]),
    "resize below crop": (model(preprocess={"resize": 223}), "`models.m.preprocess.resize`", "223", ["224"]),
    "descending": (
        minimal(benchmark={"batch_sizes": [8, 1]}),
        "`benchmark.batch_sizes`",
        "[8, 1]",
        ["ascend", "[1, 8]"],
    ),
    "descending load": (minimal(load_test={"concurrency": [4, 1]}), "`load_test.concurrency`", "[4, 1]", ["ascend"]),
    "a name that ends with a line end": (minimal(models={"tiny\n": {}}), "`models", r"'tiny\n'", ["A-Za-z0-9"]),
    "a release that ends with a line end": (
        minimal(triton={"release": "26.07\n"}),
        "`triton.release`",
        r"'26.07\n'",
        ["release in quotes"],
    ),
    "a release in other digits": (
        minimal(triton={"oldest": "२६.०७"}),
        "`triton.oldest`",
        "२६.०७",
        ["of the form"],
    ),
    "a release of the 70th month": (minimal(triton={"release": "26.70"}), "`triton.release`", "26.70", ["release"]),
    "a namespace that ends with a line end": (
        minimal(deploy={"cluster": {"namespace": "inference\n"}}),
        "`deploy.cluster.namespace`",
        r"'inference\n'",
        ["lower-case letters", "such as inference"],
    ),
    "weights that end with a line end": (model(weights="w.pth\n"), "`models.m.weights`", r"'w.pth\n'", [".pth"]),
    "a photograph that ends with a line end": (minimal(image="a.jpg\n"), "`image`", r"'a.jpg\n'", ["no line end"]),
    "a path with an escape": (
        minimal(calibration={"images": "a\x1b[2J"}),
        "`calibration.images`",
        r"'a\x1b[2J'",
        ["control character"],
    ),
    "a label with a line end": (
        minimal(deploy={"cluster": {"node_labels": {"cpu": {"zone\n": "a"}}}}),
        "`deploy.cluster.node_labels.cpu`",
        r"'zone\n'",
        ["a name must be at most 63", "such as nvidia.com/gpu.product"],
    ),
    "a billion images": (minimal(profile={"batch_size": 10**9}), "`profile.batch_size`", "1000000000", ["at most"]),
    "more patience than a life": (
        minimal(deploy={"ready_timeout_s": 1e12}),
        "`deploy.ready_timeout_s`",
        "1000000000000.0",
        ["at most 86400"],
    ),
    "a batch of 10**30": (
        minimal(benchmark={"batch_sizes": [10**30]}),
        "`benchmark.batch_sizes.0`",
        str(10**30),
        ["at most"],
    ),
    "a million instances": (
        minimal(load_test={"instances": [10**6]}),
        "`load_test.instances.0`",
        "1000000",
        ["at most 256"],
    ),
    "a picture of a million pixels a side": (
        model(preprocess={"crop": 10**6, "resize": 10**6}),
        "`models.m.preprocess",
        "1000000",
        ["at most 16384"],
    ),
    "repeated": (minimal(load_test={"instances": [1, 1]}), "`load_test.instances`", "[1, 1]", ["without repetition"]),
    "no batch sizes": (minimal(benchmark={"batch_sizes": []}), "`benchmark.batch_sizes`", "[]", ["at least 1"]),
    "batch of zero": (minimal(benchmark={"batch_sizes": [0]}), "`benchmark.batch_sizes.0`", "0", ["at least 1"]),
    "no time": (minimal(benchmark={"seconds": 0}), "`benchmark.seconds`", "0", ["more than 0"]),
    "no memory": (
        minimal(load_test={"memory_limit_mb": 0}),
        "`load_test.memory_limit_mb`",
        "0",
        ["null", "more than 0"],
    ),
    "impossible limit": (
        minimal(accuracy={"limits": {"fp32": {"min_cosine": 2}}}),
        "`accuracy.limits.fp32.min_cosine`",
        "2",
        ["at most 1"],
    ),
    "more images than are taken": (
        minimal(calibration={"images": "p", "min_samples": 9, "max_samples": 8}),
        "`calibration.min_samples`",
        "9",
        ["at most", "`calibration.max_samples`, 8"],
    ),
    "argument that is a date": (
        model(arguments={"since": datetime.date(2026, 1, 1)}),
        "`models.m.arguments`",
        "2026",
        ["quotes"],
    ),
    "same port twice": (minimal(deploy={"http_port": 8001}), "`deploy", "8001", ["different"]),
    "port of zero": (minimal(deploy={"grpc_port": 0}), "`deploy.grpc_port`", "0", ["at least 1", "65535"]),
    "unknown deployed target": (minimal(deploy={"target": "gpu"}), "`deploy.target`", "'gpu'", ["cpu"]),
    "unknown place": (minimal(deploy={"to": "moon"}), "`deploy.to`", "'moon'", ["local"]),
    "empty host": (minimal(deploy={"host": ""}), "`deploy.host`", "''", ["at least 1"]),
    "host that is no address": (minimal(deploy={"host": "999.1.1.1"}), "`deploy.host`", "999.1.1.1", ["IP address"]),
    "host with a port": (minimal(deploy={"host": "localhost:8001"}), "`deploy.host`", "localhost:8001", ["a port"]),
    "host with a scheme": (minimal(deploy={"host": "http://me"}), "`deploy.host`", "http://me", ["http://"]),
    "fewer replicas than there are": (
        minimal(deploy={"cluster": {"replicas": 3, "max_replicas": 2}}),
        "`deploy.cluster.max_replicas`",
        "2",
        ["at least `deploy.cluster.replicas`, 3"],
    ),
    "limits that no value holds": (
        model(samples="s.npz", metric={"function": "my.metrics:error", "limits": {"x": {"min": 3, "max": 2.5}}}),
        "`models.m.metric.limits.x`",
        "min 3 above max 2.5",
        ["no value holds"],
    ),
    "GPU that TensorRT for RTX has not": (
        minimal(preflight={"compute_capability": "9.0"}),
        "`preflight.compute_capability`",
        "'9.0'",
        ["one of 7.5, 8.0, 8.6, 8.9, 12.0, 12.1"],
    ),
    "nothing at all": ({}, "`models`", "is missing", ["a mapping"]),
    "no target among them": (minimal(targets={}), "`targets`", "{}", ["at least 1"]),
    # YAML reads an unquoted `on:` as true and `8000:` as a number.
    "key that YAML reads as a number": (minimal(deploy={8000: "http"}), "`deploy.8000`", "", ["http_port"]),
    "key that YAML reads as true": (minimal(**{"deploy": {True: 1, "prot": 2}}), "`deploy.", "", ["http_port"]),
    # Python's parser of numbers reads these; JSON and the programs do not.
    "not a number": (minimal(load_test={"p99_limit_ms": math.nan}), "`load_test.p99_limit_ms`", "nan", ["number"]),
    "endless": (minimal(benchmark={"seconds": math.inf}), "`benchmark.seconds`", "inf", ["number"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_sentence(name):
    config, key, value, allowed = MISTAKES[name]
    message = refusal(copy.deepcopy(config))
    assert message.startswith("config: ")
    assert "\n" not in message
    assert ". " not in message
    assert key in message
    assert value in message
    assert [word for word in allowed if word not in message] == []


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::1", "fe80::1%eth0", "localhost", "gpu-3", "node_1.lab.example", "3com.org"]
)
def test_an_address_or_a_name_is_a_host(host):
    assert complete(minimal(deploy={"host": host}))["deploy"]["host"] == host


def test_equal_ends_are_allowed():
    limits = {"x": {"min": 2, "max": 2}, "y": {"min": 3}, "z": {"max": 1}}
    config = model(samples="s.npz", metric={"function": "my.metrics:error", "limits": limits})
    assert complete(config | {"deploy": {"cluster": {"replicas": 2, "max_replicas": 2}}})


def test_the_gpus_of_the_preflight_are_those_of_tensorrt_for_rtx():
    names = [name for name in tensorrt_rtx.ComputeCapability.__members__ if name.startswith("SM")]
    assert schema()["$defs"]["compute_capability"]["enum"] == [f"{name[2:-1]}.{name[-1]}" for name in names]


def test_a_factorys_own_arguments_may_hold_any_text():
    assert complete(model(arguments={"prompt": "two\nlines"}))


def test_equal_sides_are_allowed():
    assert complete(model(preprocess={"resize": 224, "crop": 224}))


def test_a_whole_number_with_a_point_reaches_programs_as_an_integer_or_not_at_all():
    try:
        steps = complete(minimal(profile={"steps": 5.0}))["profile"]["steps"]
    except SlipwayError:
        return
    assert isinstance(steps, int)


def test_the_deployed_target_may_be_any_of_them():
    config = complete(minimal(targets={"a": {}, "b": {}}, deploy={"target": "b"}))
    assert config["deploy"]["target"] == "b"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tensorrt": {"profiles": [{"min": 1, "opt": 2, "max": 4}, {"min": 1, "max": 4}]}},
            "`tensorrt.profiles.1.opt` is missing; it must be a whole number at least 1",
        ),
        ({"models": {"m": {"preprocess": {"mean": [1]}}}}, "is [1], but must be a list or null of exactly 3 items"),
        ({"targets": {}}, "`targets` is {}, but must be a mapping of at least 1 entries"),
    ],
)
def test_a_missing_entry_is_named_with_its_place_and_a_size_in_words(changes, said):
    with pytest.raises(SlipwayError) as caught:
        complete({"models": {"m": {}}, "targets": {"cpu": {}}} | changes)
    assert said in str(caught.value)
