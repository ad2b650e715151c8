"""The keys of the jobs after the measurements: report, history, repository, manifests, signature, deployment.

A key is {option: value} of everything that can change a job's output, except other jobs' outputs. If it differs from
the key of the last run, the job is stale.
"""

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
    """The keys of the jobs that report and deploy the measured models.

    Each public method has the name of its rule. It returns the key of the rule's job, and runs nothing.
    """

    def __init__(self, resolved: ResolvedConfig, file_hashes: FileHashCache | None = None) -> None:
        self.resolved = resolved
        self._parts = KeyParts(resolved, file_hashes or FileHashCache())
        # Without a record, the server is searched for among all processes. One search is enough for all models.
        self._current_generation = cache(server_state.current_generation)

    def write_report(self, model: str) -> JobKey:
        """Return the key of the job that writes a model's report page: the engines, ONNX variants and accuracy to show.

        The page shows the history, a file with one line for each run. The key has a number that increases if the
        history got a line since the page was written, so that the page is written again.
        """
        return JobKey(
            self._parts.program("write_report"),
            engines=self._engines(model),
            variants=self.resolved.variants(model),
            evaluated=self.resolved.has_evaluation(model),
            edition=edition(Path(f"results/{model}/report.html")),
        )

    def record_run(self, model: str) -> JobKey:
        """Return the key of the job that appends a line about this run to the model's history.

        The key has a number that increases if the history has lost this line, so that the job appends it again.
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
        """Return the key of the job that writes results/index.html, the page about all models.

        The models' report pages are not in the key, because they are input files, which Snakemake compares.
        """
        return JobKey(self._parts.program("write_index"), models=list(self.resolved.models))

    def write_repository(self, model: str, target: str) -> JobKey:
        """Return the key of the job that writes the Triton model repository of a model for a target.

        The key has the model's name in Triton, the Triton release that serves it, and the code that is copied into it.
        """
        program = self._parts.server_program("write_repository", target)
        return JobKey(program, name=served_name(model), triton_release=self.resolved.config["triton"]["release"])

    def write_monitoring(self) -> JobKey:
        """Return the key of the job that writes the alerts and the dashboard: the spare capacity, and code.

        The measured figures that set the alerts' thresholds are not in the key, because they are in input files, which
        Snakemake compares.
        """
        return JobKey(self._parts.program("write_monitoring"), headroom=self.resolved.config["deploy"]["headroom"])

    def publish_repository(self, model: str, target: str) -> JobKey:
        """Return the key of the job that copies a model repository to `deploy.publish.to`, the storage of a cluster.

        The key has a number that increases if published files are gone or damaged, so that they are published again.
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
        """Return the key of the job that signs the Triton model repository of a model for a target.

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

        `silent` is {live model: why it does not answer}; None or {} if all answer. If a model does not answer, the key
        has a new number for the next start of the local server, so that the deployment runs again and starts the
        server.
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
        """Return {option: value} of the local server: target, address, ports, TLS files and generation number.

        The generation number counts the starts of the server. If models do not answer (`silent`, as in
        `deploy_release`), it is the number of the next start.
        """
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
        """Return the key of the job that writes a model's manifests: settings, Triton release, targets, code.

        The measurements are not in the key, because they are input files, which Snakemake compares.
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
        """Return the key of the job that writes a software bill of materials: targets and versions of packages."""
        building = {name: package_version(name) for name in packages.required_packages()}
        serving = {name: serving_version(name) for name in packages.required_packages(packages.SERVING)}
        return JobKey(
            self._parts.program_with_traits("write_sbom", self.resolved.fleet),
            targets=self.resolved.fleet,
            packages=[f"{name}=={version}" for name, version in building.items() if version != ABSENT],
            serving_packages=[f"{name}=={version}" for name, version in serving.items() if version != ABSENT],
        )
