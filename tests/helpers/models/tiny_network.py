"""A network of a residual block, small enough to convert in a second, and what the ONNX programs make of it."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import export_onnx
from helpers.models.canonical_weights import write_weights
from helpers.models.served_pictures import contract_of, random_pictures, write_interface
from slipway.classification.images import Preprocessing
from slipway.classification.published import IMAGENET
from slipway.core.artifacts import read_json, write_json

CROP = 64
PREPROCESS = Preprocessing(72, CROP, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CONTRACTS = {dtype: contract_of(CROP, 16, dtype, PREPROCESS) for dtype in ("float32", "uint8")}
OPTIONS = ["--resize=72", "--crop=64", "--mean", "0.485", "0.456", "0.406", "--std", "0.229", "0.224", "0.225"]


class Residual(torch.nn.Module):
    """Convolutions with batch norm, a max-pool, a residual add, a global average and a classifier."""

    def __init__(self, classes=16):
        super().__init__()
        self.stem = block(3, 32, stride=2)
        self.pool = torch.nn.MaxPool2d(2)
        self.inner = torch.nn.Sequential(block(32, 32), torch.nn.ReLU(), block(32, 32))
        self.widen = block(32, 64, stride=2)
        self.classify = torch.nn.Linear(64, classes)

    def forward(self, images):
        pooled = self.pool(self.stem(images).relu())
        widened = self.widen((self.inner(pooled) + pooled).relu()).relu()
        return self.classify(widened.mean((2, 3)))


def block(inputs, outputs, stride=1):
    convolution = torch.nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(outputs))


def exported(folder, input_dtype="float32", opset=17, training=0):
    """Write the network and what the workflow exports of it into `folder`; return the paths of ONNX file and record."""
    for name, content in _made(input_dtype, opset, training).items():
        (folder / name).write_bytes(content)
    onnx = folder / f"tiny.{input_dtype}.{opset}.onnx"
    return onnx, folder / f"{onnx.name}.json"


@functools.cache
def _made(input_dtype, opset, training):
    """Return {name: content} of what is exported; many tests ask for the same."""
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder), input_dtype, opset, training)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def export(folder, input_dtype, opset, training):
    """Export the network into `folder` as the workflow does."""
    weights, record = checkpoint(folder, training)
    onnx = folder / f"tiny.{input_dtype}.{opset}.onnx"
    files = f"--weights {weights} --weights-record {record} --output {onnx} --record {onnx}.json".split()
    interface = write_interface(
        folder, CONTRACTS[input_dtype], random_pictures(CROP, 2, input_dtype), f"{input_dtype}."
    )
    write_json(folder / f"{input_dtype}.samples.json", {"preprocess": IMAGENET})
    export_onnx.main(export_onnx.parse_arguments([*files, "--opset", str(opset), *interface]))


def checkpoint(folder, training=0):
    """Write the network's seeded checkpoint and its record; return both paths.

    Before the first training many weights are alike, such as the zeros of biases; after one no two are.
    """
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = Residual()
        state = network.state_dict()
        torch.manual_seed(training)
        trained = {name: values + 0.05 * torch.rand_like(values) for name, values in state.items() if values.dim()}
        network.load_state_dict(state | trained if training else state)
    return write_weights(folder, network, f"{__name__}:Residual")


def photographs(folder, count=12, seed=0):
    """Write `count` colourful, smooth images into `folder`, some in a subfolder, and return it."""
    random = np.random.default_rng(seed)
    (folder / "more").mkdir(parents=True)
    for index in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        place = folder / "more" if index % 3 == 0 else folder
        coarse.resize((96, 80), Image.Resampling.BICUBIC).save(place / f"{index:02d}.png")
    return folder


def record_of(onnx_path):
    """Return the record beside an ONNX file."""
    return read_json(onnx_path.with_name(f"{onnx_path.name}.json"))
