"""The preprocessing of photographs that is known while planning: from config.yaml, or from the network's source.

A source is where a network comes from, such as torchvision or timm. It may publish a preprocessing.
"""

from slipway.classification.published import IMAGENET
from slipway.models.source_interface import PublishedPreprocessing
from slipway.models.sources import source_of
from slipway.storage.addresses import local_path


def published_preprocessing(settings: dict) -> PublishedPreprocessing | None:
    """Return the preprocessing that the source of a model's network publishes; None if planning cannot know it.

    Planning does not import the package of a source. So for some sources only a job knows the preprocessing. `settings`
    is the model's entry in config.yaml.
    """
    if not _is_planned(settings):
        return None
    architecture, weights = settings["architecture"], local_path(settings["weights"])
    return source_of(architecture).preprocessing(architecture, settings["arguments"], weights) if architecture else None


def planned_preprocessing(settings: dict) -> dict:
    """Return the preprocessing of a model's photographs, {key: value} with all keys of `preprocess` in config.yaml.

    A value is None if only a job can find it. `settings` is the model's entry in config.yaml.
    """
    published = published_preprocessing(settings)
    unstated = IMAGENET | (published.settings if published else {})
    return (unstated if _is_planned(settings) else dict.fromkeys(IMAGENET)) | stated_preprocessing(settings)


def stated_preprocessing(settings: dict) -> dict:
    """Return {key: value} of `preprocess` in config.yaml, with only the keys that have a value there.

    `settings` is the model's entry in config.yaml.
    """
    return {name: value for name, value in settings["preprocess"].items() if value is not None}


def _is_planned(settings: dict) -> bool:
    """Return whether planning knows all that a model's source publishes. A program has no source, so this is True."""
    return settings["architecture"] is None or source_of(settings["architecture"]).is_planned
