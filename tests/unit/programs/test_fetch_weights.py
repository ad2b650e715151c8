import dataclasses
import errno
import json
import os
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torchvision
from helpers.models.served_pictures import random_pictures

from fetch_weights import (
    count_in_words,
    fill_zero_weights,
    main,
    obtain,
    parse_arguments,
)
from slipway.contract.archives import write_samples
from slipway.core.artifacts import sha256
from slipway.core.errors import SlipwayError
from slipway.models.architectures import build
from slipway.models.canonical import load_model
from slipway.models.sources import source_of
from slipway.models.sources.torchvision import SOURCE, Torchvision
from slipway.models.trial_runs import try_run


def classes_of(model, pixels):
    """Return the number of logits for a picture of that size."""
    return try_run(model, random_pictures(pixels)[0])[0].shape[1]


@pytest.mark.parametrize(
    ("count", "words"),
    [(7, "7"), (999, "999"), (12_345, "12.3 k"), (999_990, "1.0 M"), (25_557_032, "25.6 M"), (7_241_732_096, "7.2 B")],
)
def test_parameters_are_counted_in_the_unit_that_fits(count, words):
    assert count_in_words(count) == words


@pytest.fixture
def options(tmp_path):
    """Return a function that completes a command line whose outputs lie in a folder of their own."""

    def complete(*given: str):
        outputs = {"output": "w.safetensors", "record": "w.json"}
        write_samples(tmp_path / "samples.npz", random_pictures(224))
        written = [word for name, file in outputs.items() for word in (f"--{name}", str(tmp_path / "out" / file))]
        return parse_arguments([*given, *written, "--samples", str(tmp_path / "samples.npz")])

    return complete


@pytest.mark.parametrize("architecture", ["squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_the_number_of_classes_is_that_of_the_logits(architecture):
    assert classes_of(build(architecture, {"num_classes": 7}), 64) == 7


def test_the_number_of_classes_does_not_depend_on_the_order_of_the_layers():
    class HeadFirst(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3, 5)
            self.norm = torch.nn.BatchNorm2d(3)

        def forward(self, images):
            return self.head(self.norm(images).mean((2, 3)))

    assert classes_of(HeadFirst().eval(), 8) == 5


def test_a_size_that_the_model_does_not_take_is_told():
    with pytest.raises(
        SlipwayError, match=r"\(1, 3, 8, 8\) \(.*too small\).*correct the samples \(`preprocess\.crop`"
    ) as caught:
        classes_of(build("squeezenet1_1"), 8)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_a_training_that_diverged_is_told(tmp_path, options):
    state = build("squeezenet1_1").state_dict()
    state["classifier.1.bias"][3] = float("nan")
    torch.save(state, tmp_path / "c.pth")
    arguments = options("--architecture", "squeezenet1_1", "--checkpoint", str(tmp_path / "c.pth"))
    with pytest.raises(SlipwayError, match="NaN or infinities in PyTorch already"):
        main(arguments)
    assert not arguments.output.exists()


def test_a_checkpoint_becomes_canonical(tmp_path, options):
    model = build("squeezenet1_1", {"num_classes": 3})
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in model.state_dict().items()}}, tmp_path / "c.pth"
    )
    arguments = options(
        *("--architecture", "squeezenet1_1", "--arguments", '{"num_classes": 3}'),
        *("--checkpoint", str(tmp_path / "c.pth")),
    )
    main(arguments)
    record = json.loads(arguments.record.read_text(encoding="utf-8"))
    assert record["origin"] == "checkpoint"
    assert record["classes"] == 3
    assert record["sha256"] == sha256(arguments.output)
    assert record["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(load_model(arguments.output, record)(images), model(images))


def written(folder, network, sample):
    """Fetch the weights of a network that a module of the user makes; return the record."""
    torch.save(network.state_dict(), folder / "c.pth")
    write_samples(folder / "samples.npz", [sample])
    files = f"--checkpoint {folder}/c.pth --samples {folder}/samples.npz --output {folder}/w.safetensors"
    main(
        parse_arguments(f"{files} --record {folder}/w.json --architecture {__name__}:{type(network).__name__}".split())
    )
    return json.loads((folder / "w.json").read_text(encoding="utf-8"))


class Bits(torch.nn.Module):
    """A network of bytes that takes no floats."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 3)

    def forward(self, codes):
        return self.linear(torch.bitwise_and(codes, 15).float())


class Words(torch.nn.Module):
    """A network whose second output is sparse."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(9, 2)

    def forward(self, words):
        return {"mean": self.table(words).mean(1), "counts": words.to_sparse()}


def test_bytes_reach_a_network_that_takes_no_floats(tmp_path):
    record = written(tmp_path, Bits(), {"codes": np.arange(8, dtype=np.uint8)[None]})
    assert record["inputs"] == {"codes": {"dtype": "uint8", "shape": [1, 8]}}


def test_weights_that_are_not_finite_are_told_although_the_sample_does_not_reach_them(tmp_path, capsys):
    network, sample = Words(), {"words": np.int64([[1, 2, 3]])}
    assert written(tmp_path, network, sample)["notes"] == [
        "the weights are those at the top of the file, the only ones in the file"
    ]
    network.table.weight.data[7] = float("nan")
    assert "1 (table.weight) of the network's weights have NaN" in written(tmp_path, network, sample)["notes"][1]
    assert "CAUTION: 1 (table.weight)" in capsys.readouterr().err


def test_a_checkpoint_of_another_architecture_writes_nothing(tmp_path, options):
    torch.save(build("mobilenet_v3_small").state_dict(), tmp_path / "c.pth")
    arguments = options("--architecture", "squeezenet1_1", "--checkpoint", str(tmp_path / "c.pth"))
    with pytest.raises(SlipwayError, match="another architecture"):
        main(arguments)
    assert not arguments.output.exists()
    assert not arguments.record.exists()


def test_unknown_weights_are_refused_with_those_there_are():
    with pytest.raises(SlipwayError, match=r"NO_SUCH.*IMAGENET1K_V1"):
        SOURCE.named_weights("squeezenet1_1", "NO_SUCH")


def test_an_own_architecture_has_no_weights_to_download():
    with pytest.raises(SlipwayError, match="path of a checkpoint"):
        source_of("my.models:make").named_weights("my.models:make", "IMAGENET1K_V1")


@pytest.mark.parametrize(
    ("architecture", "arguments", "weights", "reason"),
    [
        ("squeezenet1_1", {"num_classes": 3}, "random", "`weights` is random"),
        ("torchvision.models:squeezenet1_1", {"num_classes": 3}, "random", "`weights` is random"),
        ("torchvision.models:squeezenet1_1", {"num_classes": 3}, "default", "nobody publishes weights of"),
    ],
)
def test_a_design_is_rehearsed_with_seeded_random_weights(options, capsys, architecture, arguments, weights, reason):
    given = ("--architecture", architecture, "--arguments", json.dumps(arguments), "--weights", weights)
    contents = []
    for _ in range(2):
        main(rehearsed := options(*given))
        record = json.loads(rehearsed.record.read_text(encoding="utf-8"))
        assert record["origin"] == "rehearsal"
        contents.append(record["sha256"])
    assert contents[0] == contents[1]
    assert f"REHEARSAL: {reason}" in capsys.readouterr().err


def test_of_two_downloads_at_once_one_waits(monkeypatch, tmp_path):
    downloading, worst = [], []

    def slow(*_, **__):
        downloading.append(1)
        worst.append(len(downloading))
        time.sleep(0.2)
        downloading.pop()
        return {}

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torchvision.models.SqueezeNet1_1_Weights, "get_state_dict", slow)
    wanted = SOURCE.named_weights("squeezenet1_1", "default")
    with ThreadPoolExecutor(2) as both:
        assert list(both.map(lambda _: SOURCE.download(wanted), range(2))) == [{}, {}]
    assert worst == [1, 1]


def test_only_the_network_is_a_reason_to_rehearse(monkeypatch, options):
    given = options("--architecture", "squeezenet1_1", "--weights", "default")

    def failing(error):
        monkeypatch.setattr(Torchvision, "download", lambda *_: (_ for _ in ()).throw(error))
        origin, content, _ = obtain(given)
        return origin, content

    for error in (urllib.error.URLError("no route"), TimeoutError("slow"), ConnectionResetError(104, "reset")):
        assert failing(error) == ("rehearsal", None)
    with pytest.raises(SlipwayError, match=r"^the pretrained weights could not be .*, and they stay here: set"):
        obtain(given, "they stay here")
    for reason in (errno.ENOSPC, errno.EROFS):
        with pytest.raises(SlipwayError, match=r"cannot be stored.* as TORCH_HOME"):
            failing(OSError(reason, os.strerror(reason)))


def test_a_head_that_starts_at_zero_rehearses_with_other_values():
    torch.manual_seed(0)
    network = torchvision.models.VisionTransformer(32, 16, 1, 2, 16, 16, num_classes=3).eval()
    assert not network(torch.rand(1, 3, 32, 32)).any()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    fill_zero_weights(network)
    first, second = network(torch.rand(2, 3, 32, 32))
    assert (first - second).norm() > 1e-4 * first.norm() > 0
    changed = [name for name, values in network.state_dict().items() if not torch.equal(values, before[name])]
    assert changed == ["class_token", "heads.head.weight"]


def test_the_choice_among_several_sets_is_in_the_record(tmp_path, options):
    states = [build("squeezenet1_1", {"num_classes": 3}).state_dict() for _ in range(2)]
    torch.save({"model": states[0], "model_ema": states[1]}, tmp_path / "c.pth")
    given = ("--architecture", "squeezenet1_1", "--arguments", '{"num_classes": 3}')
    unclear = options(*given, "--checkpoint", str(tmp_path / "c.pth"))
    with pytest.raises(SlipwayError, match="`weights_key: model` or `weights_key: model_ema`"):
        main(unclear)
    assert not unclear.output.exists()
    clear = options(*given, "--checkpoint", str(tmp_path / "c.pth"), "--weights-key", "model_ema")
    main(clear)
    record = json.loads(clear.record.read_text(encoding="utf-8"))
    assert record["choice"] == {
        "weights_key": "model_ema",
        "why": "as `weights_key: model_ema` asks",
        "left_out": "model (52 tensors)",
        "cast": None,
    }
    told = "the weights are those of `model_ema`, as `weights_key: model_ema` asks; left out: model (52 tensors)"
    assert record["notes"] == [told]
    assert torch.equal(load_model(clear.output, record).classifier[1].weight, states[1]["classifier.1.weight"])


# Networks that torchvision makes otherwise for its published weights


def test_published_weights_have_the_arguments_that_torchvision_gives_them():
    published = torchvision.models.Inception_V3_Weights.DEFAULT
    complete = SOURCE.network_arguments("inception_v3", {}, published)
    assert complete == {"init_weights": False, "transform_input": True}
    assert SOURCE.network_arguments("inception_v3", {"transform_input": False}, published)["transform_input"] is False
    large = torchvision.models.ViT_H_14_Weights.DEFAULT
    assert SOURCE.network_arguments("vit_h_14", {}, large) == {"image_size": 518}
    assert SOURCE.network_arguments("resnet18", {"num_classes": 3}, None) == {"num_classes": 3}


def test_a_copy_of_a_published_file_is_known_by_its_content(tmp_path, monkeypatch):
    path = tmp_path / "my inception.pth"
    path.write_bytes(b"published")
    assert SOURCE.recognised("inception_v3", path) is None
    weights = torchvision.models.Inception_V3_Weights.DEFAULT
    renamed = dataclasses.replace(weights.value, url=f"https://download.pytorch.org/inception-{sha256(path)[:8]}.pth")
    monkeypatch.setattr(weights, "_value_", renamed)
    assert SOURCE.recognised("inception_v3", path) is weights


def test_a_checkpoint_of_ones_own_says_that_no_file_tells_of_transform_input(tmp_path, options):
    torch.manual_seed(2)
    network = torchvision.models.googlenet(weights=None, num_classes=3, init_weights=False).eval()
    torch.save(network.state_dict(), tmp_path / "c.pth")
    images = torch.rand(1, 3, 64, 64)
    for given, transforms in (({}, False), ({"transform_input": True}, True)):
        arguments = options(
            *("--architecture", "googlenet", "--arguments", json.dumps({"num_classes": 3, **given})),
            *("--checkpoint", str(tmp_path / "c.pth")),
        )
        main(arguments)
        record = json.loads(arguments.record.read_text(encoding="utf-8"))
        assert record["notes"][0].startswith("the weights are those at the top of the file")
        assert len([note for note in record["notes"] if "transform_input: true" in note]) == (0 if given else 1)
        network.transform_input = transforms
        with torch.inference_mode():
            assert torch.equal(load_model(arguments.output, record)(images), network(images))
