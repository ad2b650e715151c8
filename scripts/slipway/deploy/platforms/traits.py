"""A platform's traits: the facts about it that are known without importing its clients."""

import pkgutil
from dataclasses import dataclass
from typing import Any

from slipway.core.errors import SlipwayError


@dataclass(frozen=True, kw_only=True)
class PlatformTraits:
    """The facts in each JSON file of this folder. The file's name is the platform's name in `deploy.to`."""

    name: str
    files: tuple[str, ...]  # its manifests; the first file has all objects; () if it needs none
    manifests: str  # "module:function": a Fleet -> {file: text}; "" without manifests
    deployment: str  # "module:class" of its Platform
    on_this_machine: bool  # whether it is this machine, which serves one target from the repositories here
    together: bool  # whether one server there has all models, so that they are one release

    @property
    def receipt(self) -> str:
        """Return the file name of a model's receipt on this platform."""
        return "receipt.json" if self.name == "local" else f"receipt.{self.name}.json"

    def load(self, entry_point: str) -> Any:
        """Import and return an entry point; raise SlipwayError if that fails.

        The packages of the entry point are needed only then.
        """
        try:
            return pkgutil.resolve_name(entry_point)
        except (AttributeError, ImportError) as error:
            raise SlipwayError(
                f"the platform {self.name} states {entry_point}, which cannot be imported: {error}"
            ) from None
