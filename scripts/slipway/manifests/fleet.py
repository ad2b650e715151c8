"""The manifests of all platforms for a fleet, all targets of a model, and functions that these manifests share.

The same values give the same bytes: YAML with sorted keys, below a comment.
"""

import textwrap
from dataclasses import dataclass

import yaml

from slipway.core.errors import SlipwayError
from slipway.deploy.platforms import PLATFORMS
from slipway.manifests.deployment_facts import TargetValues
from slipway.manifests.validation import require_valid
from slipway.monitoring.slo import ServiceLevel


@dataclass(frozen=True)
class Fleet:
    """The values from which the manifests of one model are made.

    `deployments` has the values of each target (a kind of GPU or CPU that config.yaml names), and `here` the values of
    the target for Compose. `slo` has the load test's figures and the latency limit of the slowest target, from which
    alerts are made.
    """

    deployments: list[TargetValues]
    here: TargetValues
    slo: ServiceLevel


def manifests(fleet: Fleet) -> dict[str, str]:
    """Return the manifests of all platforms for one model, {file name: text}.

    Raises SlipwayError if a manifest is not valid.
    """
    texts: dict[str, str] = {}
    for name, traits in PLATFORMS.items():
        if not traits.files:
            continue
        made = traits.load(traits.manifests)(fleet)
        if set(made) != set(traits.files):
            raise SlipwayError(
                f"the platform {name} states the manifests {', '.join(traits.files)}, but {traits.manifests} makes "
                f"{', '.join(made)}"
            )
        texts |= made
    return texts


def kubectl_file(name: str, objects: list[dict], fleet: Fleet) -> dict[str, str]:
    """Return {name: text} of a manifest that `kubectl apply` takes. `name` is its file name, such as "kubernetes.yaml".

    `fleet` gives the comment at its top. Raises SlipwayError if an object is not valid in Kubernetes.
    """
    require_valid(objects)
    return {name: documents(objects, header(fleet.deployments, f"kubectl apply -f {name}"))}


def header(deployments: list[TargetValues], command: str) -> str:
    """Return the comment at the top of a manifest, for its reader: its content, use, preconditions and warnings.

    `deployments` has the values of each target in the manifest. `command` is the command that applies the manifest.
    """
    deployed = ", ".join(f"{d['served_as']} on {d['target']}" for d in deployments)
    places = [
        f"{d['target']}: results/{d['model']}/{d['target']}/repository/ as {d['repository_path']} in the claim "
        f"{d['claim']} of the namespace {d['namespace']}"
        for d in deployments
    ]
    needed = [] if command.startswith("docker") else ["It needs:", *places]
    warnings = dict.fromkeys(f"WARNING: {warning}" for d in deployments for warning in d["warnings"])
    origin = f"Slipway wrote this for {deployed}. manifests.json says where each value came from."
    sentences = [origin, f"Apply it with: {command}", *needed, *warnings]
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, 117, break_on_hyphens=False)]
    return "".join(f"# {line}\n" for line in lines)


class _Dumper(yaml.SafeDumper):
    """A YAML dumper without aliases. It indents lists below their key, and writes text of several lines as a block."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def documents(objects: list[dict], comment: str) -> str:
    """Return the text of a manifest: `comment`, then a YAML document with sorted keys for each object."""
    dumped = yaml.dump_all(objects, Dumper=_Dumper, sort_keys=True, explicit_start=True, width=1000, allow_unicode=True)
    return comment + dumped
