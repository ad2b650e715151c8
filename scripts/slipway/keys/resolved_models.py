"""The settings of each model, and facts that follow from them. Settings of a model override the common settings.

A model has either an architecture, for which `weights` has the values, or a program: a file in `weights` with the
network inside, such as TorchScript, .pt2 or ONNX.
"""

from functools import cache

from slipway.classification.planned_preprocessing import planned_preprocessing
from slipway.contract.sample_sources import is_function
from slipway.core.errors import amended
from slipway.keys.weights_files import WEIGHTS_SUFFIXES, program_kind
from slipway.models.sources import source_of
from slipway.storage import local_copies
from slipway.storage.addresses import is_address, local_path

# The name of the batch axis. The same as slipway.contract.contract.BATCH, without the imports of that module.
BATCH = "batch"


class ResolvedModels:
    """The models of a completed configuration, which is config.yaml with the defaults.

    This class does not detect hardware or versions.
    """

    def __init__(self, config: dict) -> None:
        self.config = config
        self.models = list(config["models"])
        # The storage is asked once for each file.
        self.planned_file = cache(local_copies.planned)

    def metric_targets(self, model: str) -> list[str]:
        """Return the names of the arrays in a model's samples that only the user's metric reads, such as true answers.

        They are no inputs of the model. Return [] if the model has no metric.
        """
        metric = self.config["models"][model]["metric"]
        return metric["targets"] if metric else []

    def excepted(self, model: str, variant: str) -> list[str] | None:
        """Return the names of the layers that stay in a higher precision in an ONNX variant of a model; None if none.

        The setting `precisions` of the model lists them.
        """
        settings = self.config["models"][model]["precisions"].get(variant.partition("-")[0], {})
        return next(iter(settings.values()), None) or None

    def checkpoint(self, model: str) -> str | None:
        """Return the path of a model's local weights file; None if the weights are published, random or in storage."""
        weights = self.config["models"][model]["weights"]
        return local_path(weights) if weights.endswith(WEIGHTS_SUFFIXES) and not is_address(weights) else None

    def address(self, model: str) -> str | None:
        """Return the address of a model's weights file in storage, such as s3://bucket/best.pth; None without one."""
        weights = self.config["models"][model]["weights"]
        return weights if is_address(weights) else None

    def is_program(self, model: str) -> bool:
        """Return whether a model's weights file is a program: TorchScript, .pt2 or ONNX, with the network inside."""
        return self.config["models"][model]["architecture"] is None

    def is_onnx_file(self, model: str) -> bool:
        """Return whether a model is only an ONNX file, which ONNX Runtime can run and PyTorch cannot."""
        return self.program_kind(model) == "onnx_file"

    def baseline(self, model: str) -> str:
        """Return the name of the runtime with whose answers all engines of a model are compared.

        The name is "PyTorch", or "ONNX Runtime" if the model is only an ONNX file.
        """
        return "ONNX Runtime" if self.is_onnx_file(model) else "PyTorch"

    def program_kind(self, model: str) -> str | None:
        """Return the kind of a model's program, a key of `weights_files.PROGRAMS`; None for an architecture.

        If a file in storage has a name that does not show the kind, the file counts as TorchScript until a job has read
        it.
        """
        path = self.address(model) or self.checkpoint(model)
        if path is None or not self.is_program(model):
            return None
        unknown = "torchscript" if is_address(path) and not path.endswith(".safetensors") else None
        return program_kind(path) or unknown

    def samples(self, model: str) -> str | None:
        """Return the source of a model's samples, a path or "package.module:name"; None for a model of photographs."""
        return self.config["models"][model]["samples"]

    def preprocess(self, model: str) -> dict:
        """Return {"resize", "crop", "mean", "std", "interpolation"} for a model's photographs.

        A value is None if only a job can find it.
        """
        return planned_preprocessing(self.config["models"][model])

    def arguments(self, model: str) -> dict:
        """Return {name: value} of the keyword arguments that make a model's network.

        If a value in config.yaml names a file, the file's content replaces it, so that a changed file changes the key.
        """
        settings = self.config["models"][model]
        architecture, arguments = settings["architecture"], settings["arguments"]
        with amended(f"config: `models.{model}.arguments`: "):
            return source_of(architecture).planned_arguments(arguments) if architecture else arguments

    def image(self, model: str) -> str | None:
        """Return the path of a model's sample photograph; None if it is the photograph in Matplotlib's package."""
        return self.config["models"][model]["image"] or self.config["image"]

    def file_of_samples(self, model: str) -> dict[str, str | None]:
        """Return the option that names a model's sample inputs: {"files": path of samples} or {"image": path}.

        The path is None if a function yields the samples, or if Matplotlib's photograph is the sample.
        """
        return _file_of(self.samples(model)) or {"image": self.image(model)}

    def accuracy(self, model: str) -> dict:
        """Return {setting: value} of the section `accuracy` of config.yaml, as it applies to a model.

        Settings of the model itself override the common settings. For a model with samples, the common `labelled` and
        `min_top1` are None, because they are for photographs.
        """
        common, own = self.config["accuracy"], self.config["models"][model]["accuracy"]
        of_photographs = {"labelled": None, "min_top1": None} if self.samples(model) else {}
        limits = {name: limits | own.get("limits", {}).get(name, {}) for name, limits in common["limits"].items()}
        return {**common, **of_photographs, **own, "limits": limits}

    def file_of_evaluation(self, model: str) -> dict[str, str | None]:
        """Return the option that names a model's evaluation data: {"files": path of samples} or {"labelled": path}.

        The path is None if there are no data, or if a function yields them.
        """
        return _file_of(self.samples(model)) or {"labelled": self.accuracy(model)["labelled"]}

    def has_evaluation(self, model: str) -> bool:
        """Return whether a model has evaluation data, which are samples or labelled photographs."""
        return self.samples(model) is not None or self.accuracy(model)["labelled"] is not None

    def calibration(self, model: str) -> dict:
        """Return {setting: value} of the section `calibration` of config.yaml, as it applies to a model.

        Settings of the model itself override the common settings. A model with `samples` does not use the common
        calibration photographs.
        """
        of_photographs = {"images": None} if self.samples(model) else {}
        common = {**self.config["calibration"], **of_photographs, "samples": None}
        return common | self.config["models"][model]["calibration"]

    def file_of_calibration(self, model: str) -> dict[str, str | None]:
        """Return the option that names a model's calibration data: {"files": path of samples} or {"images": path}.

        The path is None if there are no data, or if a function yields them.
        """
        calibration = self.calibration(model)
        return _file_of(calibration["samples"]) or {"images": calibration["images"]}

    def is_calibrated(self, model: str) -> bool:
        """Say whether a model has calibration data, which int8 and fp8 need."""
        return any(self.calibration(model)[name] is not None for name in ("images", "samples"))

    def batched(self, model: str) -> bool | None:
        """Say whether the shapes in a model's `inputs` begin with the batch axis; None if no shape is stated."""
        inputs = self.config["models"][model]["inputs"] or {}
        shapes = [settings["shape"] for settings in inputs.values() if settings["shape"]]
        return all(shape[0] == BATCH for shape in shapes) if shapes else None


def _file_of(source: str | None) -> dict[str, str | None]:
    """Return {"files": path} for a path of samples, {"files": None} for a function that yields them, or {} for None."""
    return {"files": None if is_function(source) else source} if source else {}
