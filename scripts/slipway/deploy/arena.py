"""Deploying with Arena: each version of a target is a separate Arena release, started beside the old one.

The commands come from the generated arena.sh. Each command runs separately, because unchanged releases of a fleet are
live already. Readiness checks and port forwarding use the API of the cluster, not Arena.
"""

import shlex
from collections.abc import Iterable
from pathlib import Path

from slipway.cluster import rollout
from slipway.cluster.api_resources import provenance, servers
from slipway.core.errors import SlipwayError
from slipway.deploy.commands import output_of, require_program
from slipway.deploy.kubernetes import Kubernetes
from slipway.deploy.release import Release
from slipway.deploy.release_history import DeploymentState

# Timeout of a command: Arena sends some requests to the cluster and applies a chart.
COMMAND_S = 300
# An Arena release in JSON: [name, version].
ArenaRelease = list[str]


class Arena(Kubernetes):
    """The platform `arena`: a namespace of a cluster, in which the program `arena` makes the objects of a release."""

    def preflight(self, release: Release, state: DeploymentState) -> dict:
        """Return {"context", "namespace", "kubernetes", "verified", "not_verified"}, as for Kubernetes.

        Raises SlipwayError if a check fails, or if a live Arena release would change: Arena cannot change a release.
        """
        require_program("arena", "install Arena's client (github.com/kubeflow/arena), or deploy to `kubernetes`")
        self._require_current_context()
        self._require_same_where_there(release, state)
        return super().preflight(release, state)

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return the existing Arena releases, as {"releases", "unproven"}.

        "unproven" has the releases that a killed deployment started, and "releases" has all other releases. A release
        is [name, version].
        """
        existing = self._releases(release, state)
        proven = state.baseline["releases"] if state.baseline else existing
        begun = releases(state.attempted) if state.attempted else []
        unproven = [name_version for name_version in existing if name_version in begun and name_version not in proven]
        return {"releases": _without(existing, unproven), "unproven": unproven}

    def start(self, release: Release, snapshot: dict) -> None:
        """Delete unproven Arena releases, start the missing Arena releases, and wait for the rollout."""
        wanted = releases(release)
        self._delete(_without(snapshot["unproven"], wanted))
        for arena_release, server, command in _of_each_target(release):
            unproven = arena_release in snapshot["unproven"]
            if unproven:
                self._delete([arena_release])
            if unproven or self.cluster.get(server) is None:
                output_of(command, COMMAND_S)
        rollout.wait(self.cluster, release.objects, self._patience_s)

    def finish(self, release: Release, snapshot: dict) -> None:
        """Delete the earlier Arena releases that the new version does not have."""
        self.require_lock()
        self._delete(_without(snapshot["releases"], releases(release)))

    def restore(self, release: Release, snapshot: dict) -> str:
        """Delete the new Arena releases. Return a sentence with the Arena releases that serve now.

        The old Arena releases were never changed.
        """
        self.require_lock()
        self._delete(_without(releases(release), snapshot["releases"]))
        if not snapshot["releases"]:
            return "Nothing of it was live before. What was started was removed."
        return f"What was live before was never touched and serves on: {', '.join(_named(snapshot['releases']))}."

    def contents(self, release: Release) -> dict:
        """Return {"objects": a reference to each object, "releases": [name, version] of each target}, for a receipt."""
        return super().contents(release) | {"releases": releases(release)}

    def remove(self, contents: list[dict]) -> list[str]:
        """Delete the Arena releases in the contents of receipts; return "name version" of each deleted release."""
        return _named(self._delete(name_version for entry in contents for name_version in entry["releases"]))

    def _delete(self, doomed: Iterable[ArenaRelease]) -> list[ArenaRelease]:
        """Delete the Arena releases in `doomed` that exist; return the deleted releases."""
        deleted = []
        for name, version in doomed:
            if [name, version] in self._listed(name):
                command = ["arena", "serve", "delete", name, f"--version={version}"]
                output_of([*command, f"--namespace={self.cluster.namespace}"], COMMAND_S)
                deleted.append([name, version])
        return deleted

    def _releases(self, release: Release, state: DeploymentState) -> list[ArenaRelease]:
        """Return the Arena releases in the cluster whose names occur in the live, the attempted or the new release."""
        known = filter(None, (state.live, state.attempted, release))
        names = {name for version in known for name, _ in releases(version)}
        return [existing for name in sorted(names) for existing in self._listed(name)]

    def _listed(self, name: str) -> list[ArenaRelease]:
        """Return every version of the Arena release `name` in the cluster."""
        labels = {"servingName": name, "servingType": "triton-serving"}
        return sorted(map(_release_of, self.cluster.list("Deployment", "apps/v1", labels=labels)))

    def _require_current_context(self) -> None:
        """Raise SlipwayError unless the kubeconfig's current context, which Arena uses, is the cluster to deploy to."""
        current = type(self.cluster).connect(self.cluster.namespace).context
        if current != self.cluster.context:
            raise SlipwayError(
                f"config: `deploy.cluster.context` is {self.cluster.context}, but Arena asks the cluster of the "
                f"kubeconfig's current context, {current}; `kubectl config use-context {self.cluster.context}` makes "
                "them one. Nothing was changed."
            )

    def _require_same_where_there(self, release: Release, state: DeploymentState) -> None:
        """Raise SlipwayError if a version to deploy is live already, but with another command or other artifacts."""
        live = {tuple(name_version): command for name_version, _, command in _of_each_target(state.live)}
        for arena_release, server, command in _of_each_target(release):
            live_server = self.cluster.get(server)
            same_command = live.get(tuple(arena_release), command) == command
            if live_server and not (same_command and provenance(live_server) == provenance(server)):
                raise SlipwayError(
                    f"{' '.join(arena_release)} is live, but was started otherwise than {release.files[1].name} says "
                    "now, and Arena does not change a release: take it away with `snakemake --cores 1 undeploy`, then "
                    "deploy again. Nothing was changed."
                )


def releases(release: Release) -> list[ArenaRelease]:
    """Return [name, version] of each target's Arena release, from the labels of its objects."""
    return list(map(_release_of, servers(release.objects)))


def commands_of(script: Path) -> list[list[str]]:
    """Return the commands in the function `deploy` of arena.sh, each split into words."""
    text = script.read_text(encoding="utf-8").partition("\ndeploy() {\n")[2].partition("\n}\n")[0]
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def _release_of(deployment: dict) -> ArenaRelease:
    labels = deployment["metadata"]["labels"]
    return [labels["servingName"], labels["servingVersion"]]


def _of_each_target(release: Release | None) -> Iterable[tuple[ArenaRelease, dict, list[str]]]:
    """Return (Arena release, Deployment, words of the start command) of each target; () without a release."""
    if release is None:
        return ()
    return zip(releases(release), servers(release.objects), commands_of(release.files[1]), strict=True)


def _without(arena_releases: list[ArenaRelease], others: list[ArenaRelease]) -> list[ArenaRelease]:
    return [name_version for name_version in arena_releases if name_version not in others]


def _named(arena_releases: Iterable[ArenaRelease]) -> list[str]:
    return list(map(" ".join, arena_releases))
