"""The preprocessing of photographs, as planning knows it: from config.yaml, or published by the network's source."""

from slipway.classification.published import IMAGENET
from slipway.models.source_interface import PublishedPreprocessing
from slipway.models.sources import source_of
from slipway.storage.addresses import local_path


def published_preprocessing(settings: dict) -> PublishedPreprocessing | None:
    """Return the preprocessing that a model's source publishes; None if the source publishes none.

    The result is also None if only a job can know it, since the source's package is not imported while planning.
    """
    if not _is_planned(settings):
        return None
    architecture, weights = settings["architecture"], local_path(settings["weights"])
    return source_of(architecture).preprocessing(architecture, settings["arguments"], weights) if architecture else None


def planned_preprocessing(settings: dict) -> dict:
    """Return the complete `preprocess` of a model. A value is None if only the job `sample_inputs` can know it."""
    published = published_preprocessing(settings)
    unstated = IMAGENET | (published.settings if published else {})
    return (unstated if _is_planned(settings) else dict.fromkeys(IMAGENET)) | stated_preprocessing(settings)


def stated_preprocessing(settings: dict) -> dict:
    """Return the values of `preprocess` that config.yaml states."""
    return {name: value for name, value in settings["preprocess"].items() if value is not None}


def _is_planned(settings: dict) -> bool:
    """Say whether planning knows the preprocessing that a model's source publishes. A program's has none."""
    return settings["architecture"] is None or source_of(settings["architecture"]).is_planned
