"""A platform's traits: facts that are known without an import of the platform's clients."""

import pkgutil
from dataclasses import dataclass
from typing import Any

from slipway.core.errors import SlipwayError


@dataclass(frozen=True, kw_only=True)
class PlatformTraits:
    """The facts on one deployment platform, such as "kubernetes", that are known without importing its client.

    They are the content of a JSON file of this folder. The name of the file is the platform's name in `deploy.to`.
    `files` are the names of the manifests. `manifests` is "module:function", which makes them. `deployment` is
    "module:class" of the `Platform`. `on_this_machine`: it serves from this machine's disk. `together`: one server has
    all models.
    """

    name: str
    files: tuple[str, ...]  # file names of the manifests; the first file has all objects; () without manifests
    manifests: str  # "module:function": a Fleet -> {file: text}; "" without manifests
    deployment: str  # "module:class" of the platform's Platform
    on_this_machine: bool  # whether the platform is this machine, which serves one target from its own disk
    together: bool  # whether one server has all models, so that all models are one release

    @property
    def receipt(self) -> str:
        """Return the file name of a model's receipt, its deployment record, such as "receipt.kubernetes.json"."""
        return "receipt.json" if self.name == "local" else f"receipt.{self.name}.json"

    def load(self, entry_point: str) -> Any:
        """Import the function or the type that `entry_point` names, "module:name", and return it.

        Raises SlipwayError if the import fails. The packages that the module imports are needed only now.
        """
        try:
            return pkgutil.resolve_name(entry_point)
        except (AttributeError, ImportError) as error:
            raise SlipwayError(
                f"the platform {self.name} states {entry_point}, which cannot be imported: {error}"
            ) from None
