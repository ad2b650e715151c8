"""Deploying with Arena: each version of a target is a separate Arena release, started beside the old one.

A target is a kind of GPU or CPU that config.yaml names. An Arena release is the set of objects that one `arena serve`
command makes; its name and version identify it.

The commands come from the generated arena.sh. Each command runs separately, because the Arena releases of targets that
did not change are live already. Readiness checks and port forwarding use the API of the cluster, not Arena.
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
        """Check, without any change, that a release can be deployed with Arena.

        Returns {"context", "namespace", "kubernetes", "verified", "not_verified"}, as `Kubernetes.preflight`. `state`
        is the recorded state of earlier deployments. Raises SlipwayError if a check fails, or if a live Arena release
        would change: Arena cannot change a release.
        """
        require_program("arena", "install Arena's client (github.com/kubeflow/arena), or deploy to `kubernetes`")
        self._require_current_context()
        self._require_same_where_there(release, state)
        return super().preflight(release, state)

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return the Arena releases that exist before the deployment, for `restore`: {"releases", "unproven"}.

        "unproven" lists the Arena releases that a killed deployment started, and "releases" lists all others. Each is
        [name, version]. `state` is the recorded state of earlier deployments.
        """
        existing = self._releases(release, state)
        proven = state.baseline["releases"] if state.baseline else existing
        begun = releases(state.attempted) if state.attempted else []
        unproven = [name_version for name_version in existing if name_version in begun and name_version not in proven]
        return {"releases": _without(existing, unproven), "unproven": unproven}

    def start(self, release: Release, snapshot: dict) -> None:
        """Start the Arena releases that do not exist yet, and wait until their pods are ready.

        The Arena releases in "unproven" of the snapshot are deleted first, so a needed one starts anew.
        """
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
        """Delete the Arena releases of the previous version that the new version does not have.

        They are the entries "releases" of `snapshot`, the state before the deployment.
        """
        self.require_lock()
        self._delete(_without(snapshot["releases"], releases(release)))

    def restore(self, release: Release, snapshot: dict) -> str:
        """Delete the Arena releases that a failed deployment started.

        Return a sentence with the Arena releases that serve now. The Arena releases in "releases" of `snapshot` were
        never changed, so they serve on.
        """
        self.require_lock()
        self._delete(_without(releases(release), snapshot["releases"]))
        if not snapshot["releases"]:
            return "Nothing of it was live before. What was started was removed."
        return f"What was live before was never touched and serves on: {', '.join(_named(snapshot['releases']))}."

    def contents(self, release: Release) -> dict:
        """Return the objects of a release, for its receipt: {"objects": [reference, ...], "releases": [...]}.

        A reference is the result of `kubernetes.reference`. "releases" has [name, version] of the Arena release of each
        target.
        """
        return super().contents(release) | {"releases": releases(release)}

    def remove(self, contents: list[dict]) -> list[str]:
        """Delete the Arena releases of earlier deployments; return "name version" of each deleted Arena release.

        `contents` are the entries "contents" of receipts, as the method `contents` returns.
        """
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
        """Return the Arena releases in the cluster that belong to the model.

        Their names occur in the live release, in the release of an interrupted deployment, or in the new release.
        """
        known = filter(None, (state.live, state.attempted, release))
        names = {name for version in known for name, _ in releases(version)}
        return [existing for name in sorted(names) for existing in self._listed(name)]

    def _listed(self, name: str) -> list[ArenaRelease]:
        """Return [name, version] of every version of the Arena release `name` in the cluster."""
        labels = {"servingName": name, "servingType": "triton-serving"}
        return sorted(map(_release_of, self.cluster.list("Deployment", "apps/v1", labels=labels)))

    def _require_current_context(self) -> None:
        """Raise SlipwayError if Arena would deploy to another cluster: it uses the kubeconfig's current context."""
        current = type(self.cluster).connect(self.cluster.namespace).context
        if current != self.cluster.context:
            raise SlipwayError(
                f"config: `deploy.cluster.context` is {self.cluster.context}, but Arena asks the cluster of the "
                f"kubeconfig's current context, {current}; `kubectl config use-context {self.cluster.context}` makes "
                "them one. Nothing was changed."
            )

    def _require_same_where_there(self, release: Release, state: DeploymentState) -> None:
        """Raise SlipwayError if an Arena release to deploy is live already with another command or other artifacts.

        Arena cannot change a live release, so the deployment would have no effect.
        """
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
    """Return [name, version] of the Arena release of each target, from the labels of the release's objects."""
    return list(map(_release_of, servers(release.objects)))


def commands_of(script: Path) -> list[list[str]]:
    """Return the commands that start the Arena releases, each as a list of words.

    They are the commands in the function `deploy` of the file `script`, arena.sh.
    """
    text = script.read_text(encoding="utf-8").partition("\ndeploy() {\n")[2].partition("\n}\n")[0]
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def _release_of(deployment: dict) -> ArenaRelease:
    labels = deployment["metadata"]["labels"]
    return [labels["servingName"], labels["servingVersion"]]


def _of_each_target(release: Release | None) -> Iterable[tuple[ArenaRelease, dict, list[str]]]:
    """Return (Arena release, its Deployment, words of its start command) for each target; () if `release` is None."""
    if release is None:
        return ()
    return zip(releases(release), servers(release.objects), commands_of(release.files[1]), strict=True)


def _without(arena_releases: list[ArenaRelease], others: list[ArenaRelease]) -> list[ArenaRelease]:
    return [name_version for name_version in arena_releases if name_version not in others]


def _named(arena_releases: Iterable[ArenaRelease]) -> list[str]:
    return list(map(" ".join, arena_releases))
