"""The keys of the jobs after the measurements: report, history, repository, manifests, signature, deployment."""

import json
from functools import cache
from pathlib import Path

from slipway.core import packages
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT, package_version
from slipway.core.serving_environment import serving_version
from slipway.deploy.local import server_state
from slipway.deploy.platforms import PLATFORMS
from slipway.history.recorded import recording_number
from slipway.keys.file_hash_cache import FileHashCache
from slipway.keys.job_key import JobKey
from slipway.keys.key_parts import KeyParts
from slipway.keys.resolved_config import ResolvedConfig
from slipway.report.recipe import edition
from slipway.triton.repository.versions import publication_number, served_name


class DeploymentKeys:
    """The keys of the jobs that report and deploy the measured models. Each public method has the name of its rule."""

    def __init__(self, resolved: ResolvedConfig, file_hashes: FileHashCache | None = None) -> None:
        self.resolved = resolved
        self._parts = KeyParts(resolved, file_hashes or FileHashCache())
        # Without a record, the server is searched for among all processes. One search is enough for all models.
        self._current_generation = cache(server_state.current_generation)

    def write_report(self, model: str) -> JobKey:
        """Return the key of the job that writes a model's report page: the engines, variants and accuracy to show.

        The key changes if the history got a line since the page was written.
        """
        return JobKey(
            self._parts.program("write_report"),
            engines=self._engines(model),
            variants=self.resolved.variants(model),
            evaluated=self.resolved.has_evaluation(model),
            edition=edition(Path(f"results/{model}/report.html")),
        )

    def record_run(self, model: str) -> JobKey:
        """Return the key of the job that appends the run of a model to its history.

        The key changes if the history has lost the line of the run.
        """
        results = Path(f"results/{model}")
        return JobKey(
            self._parts.program("record_run"),
            engines=self._engines(model),
            evaluated=self.resolved.has_evaluation(model),
            recording=recording_number(results / "run.json", results / "history.jsonl"),
        )

    def _engines(self, model: str) -> list[str]:
        return [f"{target}/{precision}" for target, precision in self.resolved.engines(model)]

    def write_index(self) -> JobKey:
        """Return the key of the job that writes the index of all models.

        The models' pages are not in the key, because they are input files.
        """
        return JobKey(self._parts.program("write_index"), models=list(self.resolved.models))

    def write_repository(self, model: str, target: str) -> JobKey:
        """Return the key of the job that writes a model repository: code, name in Triton, Triton release."""
        program = self._parts.server_program("write_repository", target)
        return JobKey(program, name=served_name(model), triton_release=self.resolved.config["triton"]["release"])

    def write_monitoring(self) -> JobKey:
        """Return the key of the job that writes the alerts and the dashboard.

        The measured figures that set the alerts' thresholds are not in the key, because they are in input files.
        """
        return JobKey(self._parts.program("write_monitoring"), headroom=self.resolved.config["deploy"]["headroom"])

    def publish_repository(self, model: str, target: str) -> JobKey:
        """Return the key of the job that publishes a repository. It changes if published files are gone or damaged.

        Raises SlipwayError if `deploy.publish.to` is not set.
        """
        to = self.resolved.config["deploy"]["publish"]["to"]
        if to is None:
            raise SlipwayError(
                "config: `deploy.publish.to` is not set, so nothing can be published; set it to the folder on which "
                "the claim is mounted, or to storage such as s3://bucket/prefix"
            )
        return JobKey(
            self._parts.program("publish_repository"),
            self._parts.public_key(),
            to=to,
            claim_path=self.resolved.config["deploy"]["cluster"]["claim_path"],
            publication=publication_number(Path(f"results/{model}/{target}/published.json")),
        )

    def sign_repository(self, model: str, target: str) -> JobKey:
        """Return the key of the job that signs a repository.

        The key has the path of the private signing key and the SHA-256 of its public half, but no secret. Raises
        SlipwayError if `deploy.signing.private_key` is not set.
        """
        private_key = self.resolved.config["deploy"]["signing"]["private_key"]
        if private_key is None:
            raise SlipwayError(
                "config: `deploy.signing.private_key` is not set, so nothing can be signed; set it to the path of a "
                "key (.pem)"
            )
        from slipway.triton.repository.signing_keys import signer  # only here, where something is signed

        signature = Path(f"results/{model}/{target}/repository.sig")
        signed_by = signer(private_key, signature, self._parts.file_hashes.remember)
        program = self._parts.program("sign_repository")
        return JobKey(program, self._parts.public_key(), private_key=private_key, signed_by=signed_by)

    def deploy_release(self, silent: dict[str, str] | None = None) -> JobKey:
        """Return the key of the job that deploys a model. The manifests are not in the key: they are input files.

        `silent` is {live model: why it does not answer}. If it has entries, the key has the next generation number of
        the local server, so the deployment is stale.
        """
        settings, to = self.resolved.config["deploy"], self.resolved.config["deploy"]["to"]
        elsewhere = {"context": settings["cluster"]["context"], "publish_to": settings["publish"]["to"]}
        return JobKey(
            self._parts.program_with_traits("deploy", [self.resolved.deployed_target]),
            self._parts.public_key(),
            self._local_server(silent) if PLATFORMS[to].together else elsewhere,
            to=to,
            code=self._parts.code_hashes.of_deployment(to),
        )

    def _local_server(self, silent: dict[str, str] | None) -> dict:
        """Return {option: value} of the local server: target, address, ports, TLS files and generation number."""
        settings = self.resolved.config["deploy"]
        listening = {name: settings[name] for name in ("host", "grpc_port", "metrics_port", "shared_memory")}
        http = {"http_port": settings["http_port"]} if settings["http"] else {}
        tls = {}
        if any(settings["tls"].values()):
            from slipway.triton.server.tls import planned_tls  # only here: without TLS the Snakefile parses faster

            tls = planned_tls(settings["host"], settings["tls"], self._parts.content)
        generation = server_state.next_generation() if silent else self._current_generation()
        target = self.resolved.deployed_target
        server = self.resolved.server(target).settings()
        return {"target": target, "server_generation": generation, **listening, **http, **tls, **server}

    def write_manifests(self) -> JobKey:
        """Return the key of the job that writes a model's manifests: settings of the platforms, targets, code.

        The measurements are not in the key, because they are input files.
        """
        settings, triton = self.resolved.config["deploy"], self.resolved.config["triton"]
        own = ("host", "http_port", "grpc_port", "metrics_port", "ready_timeout_s", "rate", "headroom")
        return JobKey(
            self._parts.program_with_traits("write_manifests", self.resolved.fleet),
            {name: settings[name] for name in own},
            targets=self.resolved.fleet,
            cluster=json.dumps({**settings["cluster"], "context": None}, sort_keys=True),
            compose=json.dumps(settings["compose"], sort_keys=True),
            compose_target=self.resolved.deployed_target,
            triton_release=triton["release"],
            default_release=self.resolved.default_release(),
            oldest=triton["oldest"],
            image=triton["image"],
            code=self._parts.code_hashes.of_manifests(),
        )

    def write_sbom(self) -> JobKey:
        """Return the key of the job that writes a bill of materials, with the targets and the packages' versions."""
        building = {name: package_version(name) for name in packages.required_packages()}
        serving = {name: serving_version(name) for name in packages.required_packages(packages.SERVING)}
        return JobKey(
            self._parts.program_with_traits("write_sbom", self.resolved.fleet),
            targets=self.resolved.fleet,
            packages=[f"{name}=={version}" for name, version in building.items() if version != ABSENT],
            serving_packages=[f"{name}=={version}" for name, version in serving.items() if version != ABSENT],
        )
