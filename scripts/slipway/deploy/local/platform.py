"""The platform `local`: one Triton server on this machine, which serves all live models of this checkout.

A new release is first tried in a second server, and then loaded by the live server. The live server switches without
losing a request: while Triton loads a model, it serves the old version until the new version is ready. The other models
of the live server do not change. The live server is replaced only if it needs other ports or options, or if it does not
answer. Then all live models are proven again on the new server.
"""

import argparse
import contextlib
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.deploy.ledger import Versions
from slipway.deploy.local import server_state, settling, switching
from slipway.deploy.local.compatibility import require_fit
from slipway.deploy.local.health_check import is_silent, why_no_answer
from slipway.deploy.local.installation import UNSERVED_S, LocalInstallation, local_installation, lock, stop_all
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.local.reporting import describe
from slipway.deploy.local.stuck_loads import Stuck
from slipway.deploy.release import Part, Release
from slipway.deploy.release_history import DeploymentState, ReleaseHistory
from slipway.triton.client.ports import Ports
from slipway.triton.server.exposure import require_accepted
from slipway.triton.server.kinds import PATH, WHEEL
from slipway.triton.server.ownership import require_own
from slipway.triton.server.server_options import ServerChoice, choice_of
from slipway.triton.server.tls import tls_of
from slipway.triton.server.tritonserver import DRAIN_S, Server, stop_process

# An entry in the recorded identity of a server that loads no more models. The identity of an installation never has it.
STUCK = {"stuck": True}


class Local:
    """The platform `local`: the Triton server of this checkout. `options.state` is the folder of the server's state.

    `receipt` is the record of an earlier deployment on this server; {} without such a deployment.
    """

    def __init__(self, receipt: dict, options: argparse.Namespace) -> None:
        self.state: Path = options.state
        self._server = receipt.get("contents", {}).get("server")
        self._options = options
        self._installation: LocalInstallation  # set by `use_installation_for`
        self._started: Server | None = None  # the trial server, or the new live server
        self._switching = False

    @classmethod
    def store(cls, to: str, results: Path, options: argparse.Namespace) -> ModelStore:
        """Return the store with the versions of all models.

        It is in `options.state`; the other arguments are not used.
        """
        return ModelStore(options.state)

    @classmethod
    def at(cls, receipt: dict, folder: Path, options: argparse.Namespace) -> "Local":
        """Return the platform `local` with the ports of the server in `receipt`, or else with those in `options`.

        `receipt` is the record of an earlier deployment, or {"place": {}}. `folder` is not used.
        """
        return cls(receipt, options)

    def lock(self) -> AbstractContextManager[None]:
        """Context manager: lock out a second deployment of this checkout while the block runs.

        Raises SlipwayError if another deployment has the lock.
        """
        return lock(self.state)

    def settle(self, history: ReleaseHistory) -> DeploymentState:
        """Finish or undo an interrupted deployment or rollback, and return the state: which versions are live.

        It is finished if its versions are served and pass a new test.
        """
        settling.settle(self, history)
        return DeploymentState(serving=history.serving())

    def refresh(self, history: ReleaseHistory, may_change: bool = False) -> bool:
        """Make the release history agree with the server: finish or undo an interrupted deployment or rollback.

        Return True if a deployment was undone. If `may_change` is false, the server does not change, failures are only
        printed, and the result is False.
        """
        if not may_change:
            settling.settle_if_unlocked(self, history)
            return False
        with self.lock():
            return settling.settle(self, history)

    def use_installation_for(self, release: Release, others: Versions | None = None) -> LocalInstallation:
        """Choose the tritonserver that can serve a release and the versions `others`, {model: live version}; return it.

        All later steps use this installation.
        """
        keys = [part.index_content["engine_key"] for part in release.parts]
        for name, number in (others or {}).items():
            with contextlib.suppress(SlipwayError, OSError):  # a damaged version is not served again
                keys.append(ModelStore(self.state).proven_by(name, number).index_content["engine_key"])
        options = self._options
        self._installation = local_installation(
            keys, self.state, self._choice, options.tensorrt_python, options.ready_timeout_s, self._shared_memory
        )
        return self._installation

    def verify_runtime(self, part: Part, server_version: str | None = None) -> dict:
        """Check that this machine and the serving runtime can run the engine of a part, one model on one target.

        Returns {"hardware", "runtime", "runtime_version", "source"}, as `compatibility.require_fit`. `server_version`
        is the version that the running server states; None before its start. Raises SlipwayError if hardware or runtime
        do not match the engine's build key.
        """
        return require_fit(part.name, part.index_content["engine_key"], self._installation.host, server_version)

    def preflight(self, release: Release, state: DeploymentState) -> dict:
        """Check, without any change, that the release can be deployed here; return {"verified": a list of sentences}.

        `state` has the live versions. Raises SlipwayError if a port is taken, or if other machines could reach a Triton
        release that is too old.
        """
        if self._server is None:
            require_accepted(self.ports.host, self._choice, self._options.oldest)
        switching.require_own_ports(self.ports, server_state.recover_state(self.state))
        self.use_installation_for(release, self._others(release, state.serving))
        return {"verified": ["the ports are free, or its own"]}

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return the state before the deployment, for `restore`: {"server", "before", "beside"}.

        "server" is the record of the running server (`server_state.write_state`) or None. "before" is {model: live
        version or None}. "beside" is True if the running server answers; then the release is first tested in a second
        server, the trial server. `state` has the recorded live versions.
        """
        running = server_state.running_server(self.state)
        beside = running is not None and not is_silent(self.state)
        before: dict[str, int | None] = dict.fromkeys(release.versions)
        if running and not state.serving:
            # If all records were lost, the selected version is live. If versions are recorded, a deployment failed.
            store = self._installation.store
            before |= {name: store.selected(name) for name in before if not store.versions(name)}
        return {"server": running, "before": before | state.serving, "beside": beside}

    def affected(self, release: Release, snapshot: dict) -> Release:
        """Return the release.

        If the server is replaced, add all other live models, which the new server has to serve, too. A model whose
        stored files were changed is left out, with a warning. `snapshot` is the result of `snapshot`.
        """
        if snapshot["beside"] and switching.takes_versions(snapshot["server"], self._installation, self.ports):
            return release
        whole, changed = switching.whole_and_changed(self._installation, self._others(release, snapshot["before"]))
        for why in changed.values():
            progress(f"  WARNING: {why}, until it is deployed again")
        return replace(release, parts=(*release.parts, *self._installation.store.release(whole, {}).parts))

    def start(self, release: Release, snapshot: dict) -> None:
        """Start the release in a trial server, a second server beside the live server, so that it can be tested.

        If no live server answers ("beside" of `snapshot` is False), the release starts in a new live server.
        """
        if not release.parts:
            return
        if snapshot["beside"]:
            progress("  a server of this checkout is live; testing the new version on a second server first")
            self._wait(switching.start_trial(self._installation, release, self.ports.tls))
        else:
            self._replace_server(release, snapshot)

    def _wait(self, server: Server) -> None:
        """Set `server` as the started server, and wait until it is ready."""
        self._started = server
        progress(f"  ready after {server.wait_until_ready(self._options.ready_timeout_s):.1f} s")

    @contextmanager
    def reach(self, release: Release) -> Iterator[dict[str, Ports]]:
        """Context manager: yield {target: ports} of the trial server, or, without a trial server, of the live server.

        Raises SlipwayError, before or after the block, if the server has ended or does not belong to this checkout.
        """
        require_own, ports = self._reached()
        require_own()
        yield {part.target: ports for part in release.parts}
        require_own()

    def switch(self, release: Release, snapshot: dict) -> bool:
        """Load the tested release in the live server. If it needs other ports or options, replace the live server.

        `snapshot` is the result of `snapshot`. Return True if the release was tested in a trial server, so that the
        test has to be repeated on the live server.
        """
        if not snapshot["beside"]:
            return False
        self._stop_trial()
        self._switching = True
        if switching.takes_versions(snapshot["server"], self._installation, self.ports):
            progress("  loading the new version in the live server, which continues to answer")
            self._reached()[0]()
            switching.load(self._installation, release.versions, self.ports, self._others(release, snapshot["before"]))
        else:
            self._replace_server(release, snapshot)
        return True

    def finish(self, release: Release, snapshot: dict) -> None:
        """Write the number of servers started so far, as Snakemake planned it, to the live server's record.

        Otherwise Snakemake's next run would find another number, and deploy again.
        """
        server_state.recover_state(self.state, generation=self._generation(snapshot))

    def restore(self, release: Release, snapshot: dict) -> str:
        """After a failed deployment, serve the earlier versions again; return a sentence on the versions now served.

        They are "before" in `snapshot`. If the running server has ended, or if a live model does not answer, a new
        server is started.
        """
        self._stop_trial()
        installation, before, running = self._installation, snapshot["before"], snapshot["server"]
        if snapshot["beside"] and server_state.is_running(running) and not is_silent(self.state):
            return self._load_before(release, before, running)
        stop_all(self.state, UNSERVED_S)
        if not any(before.values()):
            return "Nothing was live before, and nothing is served now."
        ports = Ports.of(running["listening"]) if running else self.ports
        switching.start_again(installation, before, ports, self._generation(snapshot))
        return "The versions that were live are served again."

    def _load_before(self, release: Release, before: Versions, running: dict) -> str:
        """Load the versions that were live before a failed deployment; return a sentence on the versions now served.

        `before` is {model: version}, and `running` is the record of the running server. If this load does not end, the
        server goes on serving, and the next deployment replaces the server.
        """
        others, ports = self._others(release, before), Ports.of(running["listening"])
        try:
            if self._switching:
                switching.load_again(self._installation, dict(before.items() - others.items()), ports, others)
        except Stuck:
            server_state.recover_state(self.state, identity=(running["identity"] or {}) | STUCK)
            return "The server that was live serves on. It loads nothing any more: the next deployment replaces it."
        return "The server that was live serves on unchanged."

    def place(self) -> dict:
        """Return {"machine": the name of this machine}."""
        return {"machine": platform.node()}

    def contents(self, release: Release) -> dict:
        """Return the entry "contents" of receipts: {"server": the running server's record}; {} if no server runs."""
        server = server_state.running_server(self.state)
        return {"server": server} if server else {}

    def remove(self, contents: list[dict]) -> list[str]:
        """Stop the trial server, then drain and stop the live server. `contents` is not used.

        Return ["tritonserver (process <id>)"], or [] if no live server ran.
        """
        switching.stop_trial(self.state)
        running = server_state.running_server(self.state)
        stop_all(self.state, DRAIN_S)
        return [f"tritonserver (process {running['pid']})"] if running else []

    def diagnose(self, receipt: dict, history: ReleaseHistory) -> str | None:
        """Return why a live model does not answer its reference request with the reference outputs; None if it does.

        `receipt` is the record of the model's deployment. `history` is not used.
        """
        return why_no_answer(self.state, receipt["served_as"], receipt["number"])

    def describe(self, receipt: dict) -> list[str]:
        """Return lines of text on the server of a deployed model: its ports, its memory, and the model's counters.

        If the server has ended, they are the last lines of its log. `receipt` is the record of the model's deployment.
        """
        return describe(self.state, receipt)

    @cached_property
    def ports(self) -> Ports:
        """Return the ports on which the server listens: the receipt's, or else those in the options.

        The TLS settings of the receipt's server are returned with the present content of the TLS files.
        """
        if self._server is None:
            options = self._options
            return Ports(options.http_port, options.grpc_port, options.metrics_port, options.host, tls_of(options))
        ports = Ports.of(self._server["listening"])
        return replace(ports, tls=ports.tls.as_they_are_now(ports.host)) if ports.tls else ports

    @staticmethod
    def _others(release: Release, live: Versions) -> Versions:
        """Return the live versions that a release leaves as they are, {model: version}.

        They are those of the models that it does not have.

        `live` is {model: live version}. Models that the release withdraws are left out, too.
        """
        return {name: live[name] for name in live.keys() - release.versions.keys() - {*release.withdrawn}}

    @property
    def _shared_memory(self) -> bool:
        if self._server is None:
            return getattr(self._options, "shared_memory", False)
        return (self._server.get("identity") or {}).get("shared_memory", False)

    @property
    def _choice(self) -> ServerChoice:
        """Return which tritonserver to use: as the options say, or without such options as the recorded server."""
        if hasattr(self._options, "server"):
            return choice_of(self._options)
        server = self._server or server_state.running_server(self.state) or {}
        stated = (server.get("identity") or {}).get("server")
        if stated is None:  # the server's record was lost
            return ServerChoice(PATH if shutil.which("tritonserver") else WHEEL)
        return ServerChoice(stated["run"], stated.get("image"), stated["release"])

    def _generation(self, snapshot: dict) -> int:
        """Return the number of servers that this checkout has started, including the server after this deployment.

        Snakemake plans it (`options.server_generation`); without a plan, it is computed from the records and
        `snapshot`.
        """
        if getattr(self._options, "server_generation", None) is not None:
            return self._options.server_generation
        number = server_state.current_generation if snapshot["beside"] else server_state.next_generation
        return number(self.state)

    def _replace_server(self, release: Release, snapshot: dict) -> None:
        """Stop the running server, start a new server with this release, and wait until it is ready.

        `snapshot` is the state before the deployment, which gives the reason to print.
        """
        if running := server_state.running_server(self.state):
            reason, drain_s = "its ports or its options changed", DRAIN_S
            if not snapshot["beside"]:
                reason, drain_s = "it does not answer", UNSERVED_S
            elif STUCK.items() <= (running["identity"] or {}).items():  # a drain would wait for the end of the load
                reason, drain_s = "it loads nothing any more", UNSERVED_S
            progress(f"  the server has to be restarted, since {reason}")
            stop_process(running["pid"], drain_s)
        generation = self._generation(snapshot)
        self._wait(switching.start_server(self._installation, release.versions, self.ports, generation))

    def _reached(self) -> tuple[Callable[[], None], Ports]:
        """Return (function, ports) of the started server, or else of the live server.

        The function raises SlipwayError unless the server belongs to this checkout.
        """
        if self._started:
            return self._started.require_own, self._started.ports
        if (running := server_state.running_server(self.state)) is None:
            raise SlipwayError("its server has ended; `snakemake --cores 1 status` shows the end of the log")
        ports = Ports.of(running["listening"])
        return partial(require_own, running["pid"], running["id"], ports), ports

    def _stop_trial(self) -> None:
        self._started = None
        switching.stop_trial(self.state)
