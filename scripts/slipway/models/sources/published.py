"""The preprocessing that a source publishes for its networks."""

from typing import NamedTuple


class PublishedPreprocessing(NamedTuple):
    """Settings as `preprocess` in config.yaml, where they are from, and in words how they differ from the source's."""

    settings: dict
    origin: str
    caveat: str = ""
