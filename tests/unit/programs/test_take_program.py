"""Programs are taken as they are: exported programs and TorchScript archives, tried on a sample."""

import io
import shlex
import zipfile

import numpy as np
import onnx
import pytest
import torch
from onnx.helper import make_model, make_opsetid
from onnx.parser import parse_graph
from torch import nn

from slipway.contract.archives import write_samples
from slipway.core.artifacts import read_json, sha256
from slipway.core.errors import SlipwayError
from slipway.models.canonical import load_model
from slipway.networks.calling import call_of
from take_program import main, parse_arguments

SAMPLE = {"mask": np.ones((1, 3), np.float32), "x": np.random.default_rng(0).random((1, 4), np.float32)}
BATCH = torch.export.Dim("batch")


class TwoInputs(nn.Module):
    """A network with two inputs whose order is not the one of the samples, dropout, and outputs by name."""

    def __init__(self):
        super().__init__()
        self.linear, self.dropout = nn.Linear(4, 3), nn.Dropout()

    def forward(self, x: torch.Tensor, mask: torch.Tensor):
        return {"scores": self.dropout(self.linear(x)) * mask, "total": x.sum(1, keepdim=True)}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TwoInputs().eval()


def inputs(batch):
    return torch.rand(batch, 4), torch.rand(batch, 3)


def exported(network, path):
    dynamic = {"x": {0: BATCH}, "mask": {0: BATCH}}
    torch.export.save(torch.export.export(network, inputs(2), dynamic_shapes=dynamic), path)


def scripted(network, path):
    torch.jit.script(network).save(path)


def traced(network, path):
    torch.jit.trace(network, inputs(2), strict=False).save(path)


SAVED = {"exported_program": (exported, "p.pt2"), "torchscript": (scripted, "p.pt"), "traced": (traced, "p.ts")}


def take(folder, path, kind, sample=SAMPLE):
    write_samples(folder / "samples.npz", [sample])
    options = f"--checkpoint {path} --kind {kind} --samples {folder}/samples.npz --output {folder}/program"
    main(parse_arguments(shlex.split(f"{options} --record {folder}/weights.json")))
    return folder / "program", read_json(folder / "weights.json")


@pytest.mark.parametrize("how", SAVED)
def test_a_program_answers_as_the_network_that_it_was_saved_from(how, network, tmp_path):
    save, name = SAVED[how]
    save(network, tmp_path / name)
    program, record = take(tmp_path, tmp_path / name, "torchscript" if how == "traced" else how)
    assert sha256(program) == sha256(tmp_path / name) == record["sha256"]
    assert (record["origin"], record["parameters"], record["architecture"]) == ("program", 15, None)
    loaded, x, mask = load_model(program, record), *inputs(5)
    call = call_of(loaded, list(SAMPLE))
    assert call.names == ("x", "mask")
    answers, expected = call(loaded, {"mask": mask, "x": x}), network(x, mask)
    assert list(answers) == list(expected)
    assert all(torch.allclose(answers[name], expected[name]) for name in expected)


class Bits(nn.Module):
    """A network of bytes that takes no floats."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 3)

    def forward(self, codes):
        return self.linear(torch.bitwise_and(codes, 15).float())


def bits_exported(path):
    example = torch.zeros(2, 8, dtype=torch.uint8)
    torch.export.save(torch.export.export(Bits().eval(), (example,), dynamic_shapes={"codes": {0: BATCH}}), path)


def bits_traced(path):
    torch.jit.trace(Bits().eval(), torch.zeros(2, 8, dtype=torch.uint8)).save(path)


def bits_onnx(path):
    graph = parse_graph(
        "bits (uint8[N, 8] codes) => (float[N, 8] y) {"
        " mask = Constant <value = uint8[1] {15}>() low = BitwiseAnd(codes, mask) y = Cast<to = 1>(low) }"
    )
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 18)], ir_version=8), path)


@pytest.mark.parametrize(
    ("kind", "save"),
    [("exported_program", bits_exported), ("torchscript", bits_traced), ("onnx_file", bits_onnx)],
)
@pytest.mark.parametrize("name", ["codes", "any_name"])
def test_a_program_of_bytes_gets_bytes(kind, save, name, tmp_path):
    save(tmp_path / "program.file")
    sample = {name: np.arange(8, dtype=np.uint8)[None] + 200}
    _, record = take(tmp_path, tmp_path / "program.file", kind, sample)
    assert record["inputs"][name] == {"dtype": "uint8", "shape": [1, 8]}


@pytest.mark.parametrize("how", SAVED)
def test_inputs_of_other_names_are_refused_with_the_programs_own(how, network, tmp_path):
    save, name = SAVED[how]
    save(network, tmp_path / name)
    others = {"pixels": SAMPLE["x"], "mask": SAMPLE["mask"]}
    with pytest.raises(SlipwayError, match=r"the samples have pixels, which .* takes x, mask"):
        take(tmp_path, tmp_path / name, "torchscript" if how == "traced" else how, others)
    assert not (tmp_path / "program").exists()


@pytest.mark.parametrize("kind", ["exported_program", "torchscript"])
def test_a_damaged_program_is_told_and_writes_nothing(kind, network, tmp_path):
    save, name = SAVED[kind]
    save(network, tmp_path / name)
    damaged = tmp_path / f"damaged_{name}"
    damaged.write_bytes((tmp_path / name).read_bytes()[:-200])
    with pytest.raises(SlipwayError, match=r"cannot be read as .*: it is damaged, .* save it again"):
        take(tmp_path, damaged, kind)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, damaged.name, "samples.npz"])


@pytest.mark.parametrize("kind", ["exported_program", "torchscript"])
def test_a_program_with_another_weight_than_was_written_is_told(kind, network, tmp_path):
    save, name = SAVED[kind]
    save(network, tmp_path / name)
    weight = network.linear.weight.detach().numpy().tobytes()
    whole = (tmp_path / name).read_bytes()
    assert whole.count(weight) == 1
    (tmp_path / name).write_bytes(whole.replace(weight, weight[:-1] + bytes([weight[-1] ^ 1])))
    with pytest.raises(SlipwayError, match=r"truncated or damaged \(Bad CRC-32 .*copy it again"):
        take(tmp_path, tmp_path / name, kind)


class RunsCode:
    def __reduce__(self):
        return (open, ("executed", "w"))


def test_code_that_is_pickled_in_an_exported_program_is_not_executed(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exported(network, "honest.pt2")
    with zipfile.ZipFile("honest.pt2") as honest, zipfile.ZipFile("crafted.pt2", "w") as crafted:
        for name in honest.namelist():
            content = io.BytesIO(honest.read(name))
            if name.endswith("sample_inputs/model.pt"):
                torch.save(RunsCode(), content := io.BytesIO())
            crafted.writestr(name, content.getvalue())
    with pytest.raises(SlipwayError, match="cannot be read as an exported program"):
        take(tmp_path, tmp_path / "crafted.pt2", "exported_program")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kind", ["exported_program", "torchscript"])
def test_an_operator_that_is_missing_here_is_named(kind, network, tmp_path):
    library = torch.library.Library("slipway_tests", "DEF")
    library.define("double(Tensor x) -> Tensor")
    library.impl("double", lambda x: x * 2, "CompositeExplicitAutograd")

    class Doubling(nn.Module):
        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return torch.ops.slipway_tests.double(x) + mask[:, :1]

    save, name = (exported, "p.pt2") if kind == "exported_program" else (traced, "p.pt")
    save(Doubling(), tmp_path / name)
    library._destroy()
    with pytest.raises(SlipwayError, match=r"slipway_tests.*operators that are missing here"):
        take(tmp_path, tmp_path / name, kind)
