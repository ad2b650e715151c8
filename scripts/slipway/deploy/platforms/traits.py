"""A platform's traits: the facts about it that are known without importing its clients."""

import pkgutil
from dataclasses import dataclass
from typing import Any

from slipway.core.errors import SlipwayError


@dataclass(frozen=True, kw_only=True)
class PlatformTraits:
    """The `TRAITS` in a module of this folder. The module's name is the platform's name in `deploy.to`."""

    name: str
    files: tuple[str, ...]  # its manifests; the first file has all objects
    manifests: str  # "module:function": a Fleet -> {file: text}
    deployment: str  # "module:class" of its Platform
    on_this_machine: bool  # whether it is this machine, which serves one target from the repositories here

    def load(self, entry_point: str) -> Any:
        """Import an entry point, only when it is needed: its clients are large, and need not be installed otherwise."""
        try:
            return pkgutil.resolve_name(entry_point)
        except (AttributeError, ImportError) as error:
            raise SlipwayError(
                f"the platform {self.name} states {entry_point}, which cannot be imported: {error}"
            ) from None
