"""The examples of docs/examples: their configurations, their samples, and PyTorch's own answers to them."""

import functools
import importlib
from dataclasses import asdict, is_dataclass

import numpy as np
import yaml

from helpers.workplace import REPOSITORY
from slipway.contract.samples import inputs_alone

EXAMPLES = REPOSITORY / "docs" / "examples"


def configuration(*names):
    """Return the configuration of examples; of several, one with the models of all."""
    read = [yaml.safe_load((EXAMPLES / name / "config.yaml").read_text(encoding="utf-8")) for name in names]
    return {**read[0], "models": {name: model for config in read for name, model in config["models"].items()}}


def block(name):
    """Return the first commands of an example's page."""
    return (EXAMPLES / name / "README.md").read_text(encoding="utf-8").split("```sh\n")[1].split("```")[0]


def steps(name):
    """Return the commands of an example's page that make its checkpoint, without `python`."""
    commands = [line.partition(" #")[0].split() for line in block(name).partition("snakemake")[0].splitlines()]
    return [words[1:] for words in commands if words[:2] == ["python", "-m"]]


def named(target):
    """Return what "package.module:name" names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def samples_of(name):
    """Return the inputs of all samples of an example."""
    model = configuration(name)["models"][name]
    targets = model.get("metric", {}).get("targets", [])
    return inputs_alone(list(named(model["samples"])()), targets)


class Reference:
    """An example's network in plain PyTorch, with its checkpoint."""

    def __init__(self, name, folder):
        import torch
        import torchvision

        self.model = configuration(name)["models"][name]
        architecture, arguments = self.model["architecture"], self.model.get("arguments", {})
        factory = functools.partial(torchvision.models.get_model, architecture, weights=None)
        self.network = (named(architecture) if ":" in architecture else factory)(**arguments).eval()
        self.network.load_state_dict(torch.load(folder / self.model["weights"], weights_only=True))

    def __call__(self, sample):
        """Return {output: array} for the inputs of one request, in the order of the network's own outputs."""
        import torch

        with torch.inference_mode():
            answer = self.network(**{name: self._tensor(name, array) for name, array in sample.items()})
        if isinstance(answer, torch.Tensor):
            (name,) = self.model["outputs"]
            return {name: answer.numpy()}
        return {name: values.numpy() for name, values in (asdict(answer) if is_dataclass(answer) else answer).items()}

    def _tensor(self, name, array):
        import torch

        how = self.model.get("inputs", {}).get(name, {}).get("normalisation")
        if how is None:
            return torch.from_numpy(array)
        mean, std = (np.array(how[word], np.float32)[:, None, None] for word in ("mean", "std"))
        return torch.from_numpy((array / np.float32(255) - mean) / std)
