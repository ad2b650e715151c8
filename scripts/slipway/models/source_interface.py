"""The interface of a source of networks: a package, such as timm, that makes networks by name."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from slipway.core.errors import explained_by

if TYPE_CHECKING:
    import torch


class PublishedPreprocessing(NamedTuple):
    """The preprocessing that a source publishes: `settings` in the form of `preprocess` in config.yaml.

    `origin` says in words where they come from. `caveat` is a sentence about a difference from the source's own
    preprocessing; "" without a difference.
    """

    settings: dict
    origin: str
    caveat: str = ""


class Source(ABC):
    """A source of networks: a package that makes networks by name and may publish weights for them.

    Published weights are objects of the source, with a `url`. `title` is the source's name in messages. `package` is
    the distribution that the user installs, or None if Slipway pins it. `written` is the form of `architecture` in
    config.yaml, such as "timm:NAME". `name_patterns` is {pattern of tensors' names: networks with such names, in
    words}. In all methods, `architecture` and `arguments` are these entries of a model in config.yaml.
    """

    title: str
    package: str | None = None
    # Whether the published preprocessing is known without an import of the source's package, and so while planning.
    is_planned = True
    # Whether two networks that the source makes with the same weights are known to give equal answers.
    is_reproducible = False
    # The form of `architecture`, and {pattern of tensors' names: networks with such names}, to recognise checkpoints.
    written: str = ""
    name_patterns: ClassVar[dict[str, str]] = {}

    @abstractmethod
    def factory(self, architecture: str) -> "Callable[..., torch.nn.Module]":
        """Return a function that makes the network from keyword arguments, without published weights.

        Raises SlipwayError if the source does not have the architecture.
        """

    @abstractmethod
    def named_weights(self, architecture: str, name: str) -> Any:
        """Return the published weights `name`; None if `name` is "default" and the source publishes no weights.

        Raises SlipwayError for any other name that the source does not publish.
        """

    def recognised(self, architecture: str, checkpoint: Path) -> Any:
        """Return the published weights of which the file `checkpoint` is a copy; None for the user's own weights."""
        return None

    def download(self, published: Any) -> dict:
        """Return the state dict {name: tensor} of published weights. Raise OSError if the download fails."""
        raise NotImplementedError

    def planned_arguments(self, arguments: dict) -> dict:
        """Return `arguments` of config.yaml. If an argument names a file, the file's content replaces the argument.

        So planning notices a change of the file.
        """
        return arguments

    def network_arguments(self, architecture: str, arguments: dict, published: Any) -> dict:
        """Return the keyword arguments with which the network is made, {name: value}.

        They are the user's `arguments`, and defaults that fit the `published` weights. `published` is None for the
        user's own checkpoint.
        """
        return arguments

    def notes(self, architecture: str, arguments: dict, published: Any) -> list[str]:
        """Return sentences for the user about arguments of the network that need attention; [] if there are none.

        `published` are the published weights, or None for the user's own checkpoint.
        """
        return []

    def preprocessing(self, architecture: str, arguments: dict, weights: str) -> PublishedPreprocessing | None:
        """Return the preprocessing that the source publishes for the network's inputs; None if there is none.

        `weights` is the name of published weights, or the path of a checkpoint.
        """
        return None

    def imported(self, architecture: str, module: str | None = None) -> ModuleType:
        """Return the source's package, or `module`, a module of the package.

        Raises SlipwayError if the import fails, with the command that installs the package. `architecture` is for the
        message.
        """
        assert self.package
        with explained_by(
            lambda error: (
                f"architecture {architecture} needs {self.package}, which cannot be imported here ({error}); "
                f"{self.installation}"
            )
        ):
            return importlib.import_module(module or self.package)

    @property
    def installation(self) -> str:
        """Return the command that installs the source's package, as a part of a sentence."""
        return f"install it into this environment: pip install {self.package}"


def name_in(architecture: str) -> str:
    """Return the name after the colon, such as resnet18 of "timm:resnet18"."""
    return architecture.partition(":")[2]
