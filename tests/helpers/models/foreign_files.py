"""ONNX files of any exporter, taken as a user's model is, and what they answer."""

import onnx

from helpers.onnx_graphs import noise, saved
from slipway.models.programs.onnx_file import take
from slipway.onnx.onnx_files import session_of

ANY = [{"x": noise(1, 2, 4, seed=seed)} for seed in range(3)]


def taken(folder, made, samples=ANY, **how):
    """Return (the model that is taken of a made one, the sentences about the changes)."""
    notes = take(saved(made, folder / "model.onnx", **how), folder / "program", samples)
    return onnx.load(folder / "program"), notes


def answers(made, inputs):
    """Return the outputs of a model in their order."""
    return session_of(made).run(None, inputs)


def shapes(made):
    """Return {tensor: its sizes} of inputs and outputs."""
    return {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*made.graph.input, *made.graph.output)
    }
