"""The colours and looks of pages, charts and documents, read from palette.yaml."""

from pathlib import Path

from slipway.core.templates import data_of

_PALETTE = data_of(Path(__file__).with_name("palette.yaml"))
LIGHT, DARK = ({name: pair[side] for name, pair in _PALETTE["colours"].items()} for side in (0, 1))
LOOKS: dict[str, dict[str, str | float]] = {**{name: {"color": name} for name in LIGHT}, **_PALETTE["looks"]}
