"""Check that labelled photographs prove something: never of a tensor; of a single output only with two names."""

from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import Meaning


def require_labels_of_use(meaning: Meaning, folder: Path) -> None:
    """Raise SlipwayError when the outputs are no class scores, unless config.yaml itself says so."""
    if not meaning.has_classes and not meaning.is_stated:
        raise SlipwayError(f"`accuracy.labelled` names photographs by class ({folder}), but {meaning.because}")


def require_name_for_each(meaning: Meaning, names: list[str]) -> None:
    """Raise SlipwayError when a single output, a yes or no, has a name for the yes only."""
    if meaning.kind == "sigmoid" and len(names) == 1:
        raise SlipwayError(
            "`accuracy.labelled` names photographs by class, and a single output has two classes, but `labels` does "
            "not name both; give it two lines, the name of the no and the name of the yes"
        )
