"""Carry an architecture through the programs from samples to ONNX, as the rules do."""

import json

import numpy as np

import export_onnx
import fetch_weights
import make_contract
import sample_inputs
from slipway.core.artifacts import read_json


def run(program, options, **values):
    """Run a program of scripts/ with options, and with {option: value} of values that may have spaces."""
    values = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    program.main(program.parse_arguments([*options.split(), *values]))


def exported(folder, architecture, arguments, opset, samples=None, stated=None, preprocess="", weights="random"):
    """Return (record of the weights, record of the contract) of an architecture; write folder/model.onnx.

    `samples` are arrays by name, else photographs with the options `preprocess`. `stated` has `inputs`, `axes` and
    `outputs` of config.yaml. Exporting compares the file with the network at several batch sizes, alone and in batches.
    """
    made = {"architecture": architecture, "arguments": json.dumps(arguments)}
    taken = f"--output {folder}/samples.npz --record {folder}/samples.json"
    if samples:
        (folder / "data").mkdir()
        for number, sample in enumerate(samples):
            np.savez(folder / "data" / f"{number}.npz", **sample)
        run(sample_inputs, f"{taken} --files {folder}/data --batched")
    else:
        found = made if architecture.startswith("timm:") else {}
        run(sample_inputs, f"{taken} {preprocess}", **found)
    source = f"--weights {weights}" if weights == "random" else f"--checkpoint {weights} --weights-key state_dict_ema"
    files = f"--samples {folder}/samples.npz --output {folder}/w.safetensors --record {folder}/w.json"
    run(fetch_weights, f"{source} {files}", **made)
    of_weights = f"--weights {folder}/w.safetensors --weights-record {folder}/w.json --samples {folder}/samples.npz"
    written = f"--contract {folder}/contract.json --interface {folder}/interface.json --labels {folder}/labels.txt"
    found = {name: json.dumps(value) for name, value in (stated or {}).items()}
    run(make_contract, f"{of_weights} --samples-record {folder}/samples.json {written}", **found)
    of_graph = f"--interface {folder}/interface.json --opset {opset}"
    run(export_onnx, f"{of_weights} {of_graph} --output {folder}/model.onnx --record {folder}/model.json")
    return read_json(folder / "w.json"), read_json(folder / "contract.json")
