"""compose.yaml: Triton, Prometheus and Grafana on one machine, which has the target's hardware and folder results/."""

from pathlib import Path

from slipway.core.templates import yaml_documents
from slipway.manifests import common, pod_ports
from slipway.manifests.fleet import Fleet, documents, header
from slipway.manifests.validation import require_valid_composition

TEMPLATE = Path(__file__).with_name("compose.yaml.j2")


def files(fleet: Fleet) -> dict[str, str]:
    """Return the manifest for Docker Compose, {"compose.yaml": text}, from the values `fleet.here` of one target.

    Raises SlipwayError if the content is not valid in Compose.
    """
    d = fleet.here
    # A shell makes the key of the restricted APIs, and then `exec` starts Triton. Compose would replace a single "$".
    script = " ".join(['exec "$0" "$@"', *common.guards(d, common.DRAWN)]).replace("$", "$$")
    command = ["bash", "-c", script, *common.triton_command(d)]
    values = {"d": d, "command": command, "annotations": common.metadata(d)["annotations"]}
    [made] = yaml_documents(TEMPLATE, common=common, pod_ports=pod_ports, **values)
    require_valid_composition(made)
    return {"compose.yaml": documents([made], header([d], "docker compose up --detach"))}
