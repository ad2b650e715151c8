"""The examples of docs/examples: their configurations, their samples, and PyTorch's own answers to them."""

import contextlib
import functools
import importlib
import os
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass

import numpy as np
import yaml

from helpers.workplace import REPOSITORY
from slipway.contract.archives import read_samples
from slipway.contract.samples import inputs_alone

EXAMPLES = REPOSITORY / "docs" / "examples"
# For the examples' own modules, and for the packages that `make examples` installs apart and names in PYTHONPATH.
PYTHONPATH = os.pathsep.join([".", *filter(None, [os.environ.get("PYTHONPATH")])])


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


def samples_of(name, folder):
    """Return the inputs of all samples of an example that was carried out in a folder."""
    model = configuration(name)["models"][name]
    if "samples" not in model:  # variations of the sample photograph
        return read_samples(folder / "results" / name / "samples.npz")
    targets = model.get("metric", {}).get("targets", [])
    with contextlib.chdir(folder):  # where a tokenizer of the example lies
        return inputs_alone(list(named(model["samples"])()), targets)


class Reference:
    """An example's network with its checkpoint, as its library makes and loads it."""

    def __init__(self, name, folder):
        import torch

        self.model = configuration(name)["models"][name]
        if name == "exported_program":
            network = torch.export.load(folder / self.model["weights"]).module()
            self.network = lambda history, temperature: network(history, temperature=temperature)
            return
        if name == "torchscript":
            self.network = torch.jit.load(folder / self.model["weights"])
            return
        if "architecture" not in self.model:
            probabilities = named("docs.examples.onnx_file.train:trained")().predict_proba
            self.network = lambda pixels: {"probabilities": torch.from_numpy(probabilities(pixels.numpy()))}
            return
        source, _, built = self.model["architecture"].partition(":")
        arguments, weights = self.model.get("arguments", {}), folder / self.model["weights"]
        if source == "timm":
            import timm

            self.network = timm.create_model(built, checkpoint_path=str(weights), **arguments).eval()
        elif source == "transformers":
            self.network = getattr(importlib.import_module(source), built).from_pretrained(weights.parent).eval()
        else:
            self.network = self._in_plain_pytorch(arguments, weights)

    def _in_plain_pytorch(self, arguments, weights):
        import torch
        import torchvision

        architecture = self.model["architecture"]
        # By default, torchvision downloads weights of a segmentation network's backbone, which are then replaced.
        has_backbone = architecture in torchvision.models.list_models(module=torchvision.models.segmentation)
        no_weights = {"weights": None, **({"weights_backbone": None} if has_backbone else {})}
        factory = functools.partial(torchvision.models.get_model, architecture, **no_weights)
        network = (named(architecture) if ":" in architecture else factory)(**arguments).eval()
        network.load_state_dict(torch.load(weights, weights_only=True))
        return network

    def __call__(self, sample):
        """Return {output: array} for the inputs of one request, in the order of the network's own outputs."""
        import torch

        with torch.inference_mode():
            tensors = {name: self._tensor(name, array) for name, array in sample.items()}
            answer = self.network(tensors["input"]) if "samples" not in self.model else self.network(**tensors)
        if isinstance(answer, torch.Tensor):
            (name,) = self.model.get("outputs", ["logits"])
            return {name: answer.numpy()}
        named_values = answer if isinstance(answer, Mapping) or not is_dataclass(answer) else asdict(answer)
        return {name: values.numpy() for name, values in named_values.items()}

    def _tensor(self, name, array):
        import torch

        how = self.model.get("inputs", {}).get(name, {}).get("normalisation")
        if how is None:
            return torch.from_numpy(array)
        mean, std = (np.array(how[word], np.float32)[:, None, None] for word in ("mean", "std"))
        return torch.from_numpy((array / np.float32(255) - mean) / std)
