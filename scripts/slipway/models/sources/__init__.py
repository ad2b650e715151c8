"""The sources of networks: one module here for each, with the same functions.

A source's module is imported without PyTorch and without the source's own package, since planning reads it. It has:

    TITLE, PACKAGE                  its name in sentences; the distribution that the user installs, or None
    planned_arguments(arguments)    `arguments` in config.yaml with the files that they name read
    factory(architecture)           a callable that makes the network from `arguments`, without weights
    named_weights(architecture, name)
                                    the published weights of that name, or of the name `default`; None if there is no
                                    `default`; raise SlipwayError if there are none of another name
    recognised(architecture, checkpoint)
                                    the published weights of which a file is a copy; None if it is no copy
    download(published)             the state dict of published weights; raise OSError if it cannot be fetched
    network_arguments(architecture, arguments, published)
                                    `arguments` with the defaults that the source sets for these weights
    notes(architecture, arguments, published)
                                    sentences for the user about the network
    preprocessing(architecture, arguments, weights)
                                    the published preprocessing, a PublishedPreprocessing; None if there is none
    is_planned                      whether planning knows it, without the package
    is_reproducible                 whether networks made twice with the same weights are known to answer equally

Published weights are the source's own objects, with `url`.
"""

import importlib
from types import ModuleType


def source_name(architecture: str) -> str:
    """Return the name of the source of an `architecture` in config.yaml, which is that of its module here."""
    package, colon, _ = architecture.partition(":")
    if not colon:
        return "torchvision"
    return package if package in ("timm", "transformers") else "factory"


def source_of(architecture: str) -> ModuleType:
    """Return the module of an architecture's source.

    It is imported by name, so the keys of a model have the code of its own source and of no other.
    """
    return importlib.import_module(f"{__name__}.{source_name(architecture)}")
