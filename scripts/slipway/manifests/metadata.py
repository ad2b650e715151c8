"""Labels, selectors and annotations of the objects in manifests."""

from pathlib import Path

from slipway.core.templates import yaml_documents
from slipway.load_test.limits import configuration_in_words
from slipway.manifests.names import REHEARSAL

TEMPLATE = Path(__file__).with_name("metadata.yaml.j2")


def metadata(d: dict) -> dict:
    """Return the parts of the template: "of_target" and "of_model", the metadata of their objects, and their selectors.

    There is also "annotations", with the "provenance" of a deployment and, if there are any, its warnings.
    """
    [parts] = yaml_documents(TEMPLATE, d=d, configuration=configuration_in_words(d), REHEARSAL=REHEARSAL)
    return parts
