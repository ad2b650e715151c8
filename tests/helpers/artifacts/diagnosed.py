"""A network that PyTorch exported, with the files that a diagnosis reads."""

import numpy as np
import torch

from helpers.models.inaccurate_networks import WIDTH
from helpers.models.onnx_record import onnx_record
from slipway.benchmark.evaluation import Evaluation, evaluated
from slipway.contract.archives import write_samples
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.artifacts import write_json

LIMITS = "--min-cosine 0.999 --max-relative-error {error} --min-top1-agreement 0.9 --max-top1-drop 0.1"
CONTRACT = Contract((Tensor("x", "float32", (BATCH, WIDTH)),), (Tensor("y", "float32", (BATCH, 4)),))


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
