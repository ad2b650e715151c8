"""Networks of transformers, as "transformers:CLASS", made from the fields of the class's configuration."""

import difflib
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from slipway.classification.image_processors import IMAGE_PROCESSOR, read_image_processor
from slipway.core.errors import SlipwayError
from slipway.models.source_interface import PublishedPreprocessing, Source, name_in

if TYPE_CHECKING:
    import torch

# The argument that names the file of a configuration, and the default name of this file in a folder.
_FILE, _NAME = "config", "config.json"
# Fields that say nothing about the network, and fields that every class has.
_COMMON = {
    *("_name_or_path", "architectures", "attn_implementation", "dtype", "id2label", "label2id", "model_type"),
    *("num_labels", "torch_dtype", "transformers_version"),
}


class Transformers(Source):
    """The source of transformers' networks, without published weights: a network has many published checkpoints."""

    title = "transformers"
    package = "transformers"
    written = "transformers:CLASS"
    name_patterns: ClassVar[dict[str, str]] = {
        r"(^|\.)encoder\.layer\.\d+\.attention\.": "transformers' encoders, such as BERT and ViT",
        r"(^|\.)transformer\.layer\.\d+\.attention\.": "transformers' DistilBERT",
        r"(^|\.)layers\.\d+\.self_attn\.q_proj\.weight$": "transformers' decoders",
    }

    def planned_arguments(self, arguments: dict) -> dict:
        """Return the fields of the network's configuration, {field: value}.

        If `arguments` names a file as `config`, its fields are included; fields in `arguments` override them. So
        planning notices a changed field, but not a file that only moved. Raises SlipwayError if the file cannot be
        read.
        """
        if not isinstance(arguments.get(_FILE), str):
            return arguments
        path = Path(arguments[_FILE])
        path = path / _NAME if path.is_dir() else path
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SlipwayError(f"the configuration {path} cannot be read ({error}); correct `config`") from None
        if not isinstance(read, dict):
            raise SlipwayError(f"the configuration {path} holds no JSON object; correct `config`")
        return read | {name: value for name, value in arguments.items() if name != _FILE}

    def factory(self, architecture: str) -> "Callable[..., torch.nn.Module]":
        """Return a function that makes a network of `architecture`'s class from fields of its configuration.

        The network has random weights.
        """
        kind = self._class_of(architecture)

        def network(**fields: object) -> "torch.nn.Module":
            import torch

            attention = fields.pop("attn_implementation", "sdpa")
            config = kind.config_class.from_dict(fields)
            # A cache of keys and values is no tensor, and serves the generation of text alone.
            config.use_cache, config.return_dict = False, True
            try:
                model = kind._from_config(config, dtype=torch.float32, attn_implementation=attention)
            except ValueError:  # a class without this implementation of attention
                if attention != "sdpa":
                    raise
                model = kind._from_config(config, dtype=torch.float32, attn_implementation="eager")
            if name_in(architecture).endswith("Classification"):
                model.num_classes = config.num_labels
            # With gradients, PyTorch computes attention by a kernel whose result its exporter cannot reshape (Swin).
            return model.requires_grad_(False)

        return network

    def named_weights(self, architecture: str, name: str) -> None:
        """Return None: a class of transformers has no published weights of its own.

        Raises SlipwayError if `name` is not "default".
        """
        if name != "default":
            raise SlipwayError(
                f"`weights` is {name}, but {architecture} has no weights of that name; set `weights` to the path of a "
                "model.safetensors or pytorch_model.bin"
            )

    def network_arguments(self, architecture: str, arguments: dict, published: None) -> dict:
        """Return the fields of the network's configuration, {field: value}, as `planned_arguments` does."""
        return self.planned_arguments(arguments)

    def notes(self, architecture: str, arguments: dict, published: None) -> list[str]:
        """Return a list with one warning if the network's configuration does not know fields of `arguments`; else [].

        Such fields, such as misspelt ones, have no effect on the network.
        """
        kind = self._class_of(architecture).config_class
        known = {field.name for field in fields(kind)} | set(kind.attribute_map) | _COMMON
        unknown = sorted(self.planned_arguments(arguments).keys() - known)
        if not unknown:
            return []
        nearest = difflib.get_close_matches(unknown[0], known, 1)
        meant = f", perhaps {nearest[0]}," if nearest else ""
        return [
            f"WARNING: {kind.__name__} has no field {', '.join(unknown)}{meant} so `arguments` has it without effect "
            "on the network"
        ]

    def preprocessing(self, architecture: str, arguments: dict, weights: str) -> PublishedPreprocessing:
        """Return the preprocessing in preprocessor_config.json, from the folder of the weights or of the configuration.

        Without such a file, only the input's size is known, from the configuration. The caveat then says so. `weights`
        is the path of the checkpoint.
        """
        configuration = Path(arguments[_FILE]) if isinstance(arguments.get(_FILE), str) else None
        folders = [Path(weights).parent] if Path(weights).suffix else []
        folders += [configuration if configuration.is_dir() else configuration.parent] if configuration else []
        for folder in folders:
            if preprocessing := read_image_processor(folder):
                return preprocessing
        side = self.planned_arguments(arguments).get("image_size")
        return PublishedPreprocessing(
            {"resize": side, "crop": side} if isinstance(side, int) else {},
            "ImageNet's classifiers",
            f"no {IMAGE_PROCESSOR} lies beside its weights; state `preprocess` if they were trained with another",
        )

    def _class_of(self, architecture: str) -> Any:
        """Return the class of transformers that `architecture` names. Raise SlipwayError for an unknown class.

        The message has the nearest names.
        """
        transformers, name = self.imported(architecture), name_in(architecture)
        try:
            kind = getattr(transformers, name)
        except (AttributeError, ImportError, RuntimeError):
            nearest = difflib.get_close_matches(name, dir(transformers), 4, 0.7)
            raise SlipwayError(
                f"transformers {transformers.__version__} has no class {name}; correct `architecture` in config.yaml"
                + (f", such as transformers:{' or transformers:'.join(nearest)}" if nearest else "")
            ) from None
        if getattr(kind, "config_class", None) is None or not hasattr(kind, "_from_config"):
            raise SlipwayError(
                f"{architecture} is no class of a network with a configuration; name the class itself, such as "
                "transformers:BertForSequenceClassification, which `architectures` in config.json has"
            )
        return kind


SOURCE = Transformers()
