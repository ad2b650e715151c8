"""Networks that lose their accuracy in few bits, exported by PyTorch, with the files that a diagnosis reads."""

import numpy as np
import torch

from helpers.models.onnx_record import onnx_record
from slipway.benchmark.evaluation import Evaluation, evaluated
from slipway.contract.archives import write_samples
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.artifacts import write_json

WIDTH = 16
LIMITS = "--min-cosine 0.999 --max-relative-error {error} --min-top1-agreement 0.9 --max-top1-drop 0.1"
CONTRACT = Contract((Tensor("x", "float32", (BATCH, WIDTH)),), (Tensor("y", "float32", (BATCH, 4)),))


class Overflowing(torch.nn.Module):
    """Squares its inner values, which FP16 cannot hold for large inputs, and divides by their mean."""

    def __init__(self):
        super().__init__()
        self.enter = torch.nn.Linear(WIDTH, 32)
        self.energy = Energy()
        self.leave = torch.nn.Linear(32, 4)

    def forward(self, x):
        return self.leave(self.energy(self.enter(x)))


class Energy(torch.nn.Module):
    """The squares of values / their mean."""

    def forward(self, values):
        squares = values * values
        return squares / (squares.mean(-1, keepdim=True) + 1)


class Outlying(torch.nn.Module):
    """Three layers. The inputs of the second have one channel that is a thousand times as large as all others."""

    def __init__(self):
        super().__init__()
        self.enter = torch.nn.Conv2d(1, 32, 3, padding=1)
        self.outlier = torch.nn.Conv2d(32, 32, 3, padding=1)
        self.leave = torch.nn.Conv2d(32, 4, 4)
        with torch.no_grad():
            self.enter.weight[0] *= 1000
            self.enter.bias[0] *= 1000
            # Of the large channel the next layer takes little, so that all the others decide.
            self.outlier.weight[:, 0] *= 1e-4

    def forward(self, x):
        inner = self.outlier(self.enter(x.view(-1, 1, 4, 4)).relu()).relu()
        return self.leave(inner).flatten(1)


def written(folder, network, reference, evaluation):
    """Export a seeded network into `folder`, with its answers to two lists of inputs; return the options for them.

    A network's own answers are those of `evaluation.npz` and `reference_outputs.npz`.
    """
    torch.manual_seed(0)
    network = network().eval()
    onnx = folder / "net.onnx"
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    torch.onnx.export(
        network, (torch.zeros(2, WIDTH),), onnx, dynamo=True, opset_version=20, dynamic_shapes=shapes,
        input_names=["x"], output_names=["y"], external_data=False, verbose=False,
    )  # fmt: skip
    onnx.with_name("net.onnx.data").write_bytes(b"")
    write_json(folder / "net.onnx.json", onnx_record(onnx, CONTRACT.interface(), versions={}))

    def answer(inputs):
        with torch.no_grad():
            return {"y": network(torch.from_numpy(inputs["x"])).numpy()}

    ReferenceOutputs(CONTRACT, tuple(Sample(inputs, answer(inputs)) for inputs in reference)).write(
        folder / "reference_outputs.npz"
    )
    write_samples(folder / "samples.npz", reference)
    np.savez(folder / "evaluation_inputs.npz", x=np.concatenate([inputs["x"] for inputs in evaluation]))
    Evaluation(*answers_of(answer, evaluation), {"metric": {}}).write(folder / "evaluation.npz")
    write_json(folder / "samples.json", {})
    (folder / "labels.txt").touch()
    files = f"--model net --onnx {onnx} --onnx-record {onnx}.json --samples {folder}/samples.npz"
    files += f" --samples-record {folder}/samples.json --labels {folder}/labels.txt"
    files += f" --reference {folder}/reference_outputs.npz --evaluation {folder}/evaluation.npz"
    files += f" --files {folder}/evaluation_inputs.npz --output {folder}/diagnosis.json"
    return files.split()


def answers_of(answer, inputs):
    """Return the digests and the answers of an evaluation."""
    found = evaluated(answer, CONTRACT, inputs)
    return found.samples, found.answers


def inputs_of(count, size, seed):
    """Return `count` seeded inputs of a size."""
    generator = np.random.default_rng(seed)
    return [{"x": np.float32(size * generator.standard_normal((1, WIDTH)))} for _ in range(count)]
