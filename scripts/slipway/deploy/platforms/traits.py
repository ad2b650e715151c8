"""A platform's traits: the facts about it that are known without importing its clients."""

import pkgutil
from dataclasses import dataclass
from typing import Any

from slipway.core.errors import SlipwayError


@dataclass(frozen=True, kw_only=True)
class PlatformTraits:
    """The `TRAITS` in a module of this folder. The module's name is the platform's name in `deploy.to`."""

    name: str
    files: tuple[str, ...]  # its manifests; the first file has all objects; () if it needs none
    manifests: str  # "module:function": a Fleet -> {file: text}; "" without manifests
    deployment: str  # "module:class" of its Platform
    on_this_machine: bool  # whether it is this machine, which serves one target from the repositories here
    together: bool  # whether one server there has all models, so that they are one release

    @property
    def receipt(self) -> str:
        """Return the name of a model's receipt from there."""
        return "receipt.json" if self.name == "local" else f"receipt.{self.name}.json"

    def load(self, entry_point: str) -> Any:
        """Import an entry point, only when it is needed: its clients are large, and need not be installed otherwise."""
        try:
            return pkgutil.resolve_name(entry_point)
        except (AttributeError, ImportError) as error:
            raise SlipwayError(
                f"the platform {self.name} states {entry_point}, which cannot be imported: {error}"
            ) from None
