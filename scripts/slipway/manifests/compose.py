"""compose.yaml: Triton, Prometheus and Grafana on one machine with the target's hardware and these results."""

from pathlib import Path

from slipway.core.templates import yaml_documents
from slipway.manifests import common
from slipway.manifests.fleet import Fleet, documents, header
from slipway.manifests.names import annotations
from slipway.manifests.validation import require_valid_composition

TEMPLATE = Path(__file__).with_name("compose.yaml.j2")


def files(fleet: Fleet) -> dict[str, str]:
    """Return {file: text} for Compose; raise SlipwayError if Compose would refuse it."""
    d = fleet.here
    [made] = yaml_documents(TEMPLATE, d=d, command=_command(d), annotations=annotations(d), common=common)
    require_valid_composition(made)
    return {"compose.yaml": documents([made], header([d], "docker compose up --detach"))}


def _command(d: dict) -> list[str]:
    """Return the container's command: a shell that makes the key of the restricted APIs and then becomes Triton.

    A single dollar sign would make Compose insert its own values.
    """
    script = " ".join(['exec "$0" "$@"', *common.guards(d, common.DRAWN)]).replace("$", "$$")
    return ["bash", "-c", script, *common.triton_command(d)]
