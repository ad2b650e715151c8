"""Deploying with Arena: each version of a target is a release of its own, started beside the old one.

The commands are those of the generated arena.sh, run one by one, since a fleet's release that has not changed is live
already. What is ready and how pods are reached is asked of the cluster itself.
"""

import shlex
from collections.abc import Iterable
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.deploy.cluster_objects import marks, servers
from slipway.deploy.commands import require_program, said_by
from slipway.deploy.kubernetes import Kubernetes
from slipway.deploy.platform import Known
from slipway.deploy.release import Release

# Arena asks the cluster a few things and applies a chart.
COMMAND_S = 300
# A release as what is kept of it in JSON: the name and version that Arena knows it by.
ArenaRelease = list[str]


class Arena(Kubernetes):
    """A namespace of a cluster in which Arena makes the objects."""

    def preflight(self, candidate: Release, known: Known) -> dict:
        """Return what was found; also refuse to change a release that is there, which Arena cannot."""
        require_program("arena", "install Arena's client (github.com/kubeflow/arena), or deploy to `kubernetes`")
        self._require_current_context()
        self._require_same_where_there(candidate, known)
        return super().preflight(candidate, known)

    def previous(self, candidate: Release, known: Known) -> dict:
        """Return {"releases": those that were there, "unproven": those that a killed deployment left}."""
        there = self._releases(candidate, known)
        proven = known.left["releases"] if known.left else there
        begun = releases(known.attempted) if known.attempted else []
        unproven = [each for each in there if each in begun and each not in proven]
        return {"releases": [each for each in there if each not in unproven], "unproven": unproven}

    def start(self, candidate: Release, before: dict) -> None:
        """Remove what a killed deployment left, and serve what is not served already."""
        wanted = releases(candidate)
        self._delete(each for each in before["unproven"] if each not in wanted)
        commands = commands_of(candidate.files[1], "deploy")
        for release, server, command in zip(wanted, servers(candidate.objects), commands, strict=True):
            if self.cluster.get(server) is None:
                said_by(command, COMMAND_S)
            elif release in before["unproven"]:
                self._delete([release])
                said_by(command, COMMAND_S)

    def finish(self, candidate: Release, before: dict) -> None:
        """Delete the releases that were there before and are no part of this version."""
        self.require_alone()
        wanted = releases(candidate)
        self._delete(each for each in before["releases"] if each not in wanted)

    def go_back(self, candidate: Release, before: dict) -> str:
        """Delete the new releases; the old ones were never touched."""
        self.require_alone()
        self._delete(each for each in releases(candidate) if each not in before["releases"])
        if not before["releases"]:
            return "Nothing of it was live before, and nothing of it is there now: what was started was removed."
        return f"What was live before was never touched and serves on: {', '.join(map(told, before['releases']))}."

    def contents(self, candidate: Release) -> dict:
        """Return the objects, and the releases that Arena knows them by."""
        return super().contents(candidate) | {"releases": releases(candidate)}

    def remove(self, contents: dict) -> list[str]:
        """Delete every release."""
        return [told(each) for each in self._delete(contents["releases"])]

    def _delete(self, doomed: Iterable[ArenaRelease]) -> list[ArenaRelease]:
        """Delete the releases that are there; return them."""
        deleted = []
        for name, version in doomed:
            if [name, version] in self._listed(name):
                command = ["arena", "serve", "delete", name, f"--version={version}"]
                said_by([*command, f"--namespace={self.cluster.namespace}"], COMMAND_S)
                deleted.append([name, version])
        return deleted

    def _releases(self, candidate: Release, known: Known) -> list[ArenaRelease]:
        """Return the releases of every version that are there, of all targets that are known."""
        versions = [each for each in (known.good, known.attempted, candidate) if each]
        names = {name for each in versions for name, _ in releases(each)}
        return [release for name in sorted(names) for release in self._listed(name)]

    def _listed(self, name: str) -> list[ArenaRelease]:
        """Return the releases of one name that the cluster has, whatever their version."""
        found = self.cluster.list("Deployment", "apps/v1", f"servingName={name},servingType=triton-serving")
        labels = [each["metadata"]["labels"] for each in found]
        return sorted([each["servingName"], each["servingVersion"]] for each in labels)

    def _require_current_context(self) -> None:
        """Raise SlipwayError when Arena, which takes the kubeconfig's current context, would ask another cluster."""
        current = type(self.cluster).connect(self.cluster.namespace).context
        if current != self.cluster.context:
            raise SlipwayError(
                f"config: `deploy.cluster.context` is {self.cluster.context}, but Arena asks the cluster of the "
                f"kubeconfig's current context, {current}; `kubectl config use-context {self.cluster.context}` makes "
                "them one. Nothing was changed."
            )

    def _require_same_where_there(self, candidate: Release, known: Known) -> None:
        """Raise SlipwayError when a live release of the same version was started otherwise than this one would be."""
        live = dict(zip(map(tuple, releases(known.good)), _commands(known.good), strict=True)) if known.good else {}
        for release, server, command in zip(
            releases(candidate), servers(candidate.objects), _commands(candidate), strict=True
        ):
            there = self.cluster.get(server)
            if there and (live.get(tuple(release), command) != command or marks(there) != marks(server)):
                raise SlipwayError(
                    f"{told(release)} is live, but was started otherwise than {candidate.files[1].name} says now, and "
                    "Arena does not change a release: take it away with `snakemake --cores 1 undeploy`, then deploy "
                    "again. Nothing was changed."
                )


def releases(candidate: Release) -> list[ArenaRelease]:
    """Return the name and version of each target's release, as Arena labels its objects."""
    labels = [each["metadata"]["labels"] for each in servers(candidate.objects)]
    return [[each["servingName"], each["servingVersion"]] for each in labels]


def commands_of(script: Path, function: str) -> list[list[str]]:
    """Return the commands of one function of arena.sh, each as its words."""
    text = script.read_text(encoding="utf-8").partition(f"\n{function}() {{\n")[2].partition("\n}\n")[0]
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def told(release: ArenaRelease) -> str:
    """Return a release in words."""
    name, version = release
    return f"{name} {version}"


def _commands(candidate: Release) -> list[list[str]]:
    return commands_of(candidate.files[1], "deploy")
