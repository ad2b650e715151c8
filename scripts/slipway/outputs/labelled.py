"""Check that labelled photographs can prove something: a tensor has no classes, and a single output needs two names."""

from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.outputs.meaning import Meaning


def require_labels_of_use(meaning: Meaning, folder: Path) -> None:
    """Raise SlipwayError if the outputs are no class scores, unless config.yaml itself states that."""
    if not meaning.has_classes and not meaning.is_stated:
        raise SlipwayError(f"`accuracy.labelled` names photographs by class ({folder}), but {meaning.because}")


def require_name_for_each(meaning: Meaning, names: list[str]) -> None:
    """Raise SlipwayError if a single output (yes or no) has a name only for the yes."""
    if meaning.kind == "sigmoid" and len(names) == 1:
        raise SlipwayError(
            "`accuracy.labelled` names photographs by class, and a single output has two classes, but `labels` does "
            "not name both; give it two lines, the name of the no and the name of the yes"
        )
