"""What each job of a configuration is keyed on, beside the artifacts that it is made from."""

import json
from pathlib import Path

from slipway import local_server, toolchain
from slipway.errors import SlipwayError
from slipway.planning.decisions import package_version
from slipway.planning.ingredients import Ingredients
from slipway.planning.profiles import sizes_of
from slipway.planning.settings import Settings
from slipway.planning.sources import SCRIPTS
from slipway.repositories.versions import publication_number

# What a report is filled into: a part of its key, as a program is.
REPORT_TEMPLATE = SCRIPTS / "slipway" / "report" / "page.html.j2"


class Plan(Ingredients):
    """The jobs of one completed configuration. Its methods named after artifacts return the Settings of their rule."""

    def weights(self, model: str) -> Settings:
        """Return what the canonical checkpoint is keyed on."""
        chosen = self.config["models"][model]
        checkpoint = self.checkpoint(model)
        source = (
            {"checkpoint_sha256": self._content(checkpoint)}
            if checkpoint
            else {"weights": chosen["weights"], "torchvision_version": package_version("torchvision")}
        )
        return Settings(
            source,
            architecture=chosen["architecture"],
            weights_key=chosen["weights_key"],
            arguments=json.dumps(chosen["arguments"], sort_keys=True),
            labels_from_sha256=self._content(chosen["labels"]),
            code=self._code_of_model("fetch_weights", model),
        )

    def golden(self, model: str) -> Settings:
        """Return what the golden input and logits are keyed on."""
        return Settings(
            self._input(model),
            meaning=self.config["models"][model]["output"],
            image_sha256=self._content(self.config["image"]),
            torch_version=package_version("torch"),
            code=self._code_of_model("make_golden", model),
        )

    def profile(self, model: str) -> Settings:
        """Return what the profile is keyed on."""
        return Settings(
            self.config["profile"],
            crop=self.crop(model),
            torch_version=package_version("torch"),
            code=self._code_of_model("profile_model", model),
        )

    def onnx(self, model: str) -> Settings:
        """Return what the ONNX file is keyed on."""
        # Without normalisation in the graph, only the size matters to it.
        pixels = self.input(model) == "uint8"
        return Settings(
            self._input(model) if pixels else {"crop": self.crop(model), "input": self.input(model)},
            opset=self.opset(),
            torch_version=package_version("torch"),
            # PyTorch's exporters write through one and are tidied up after by the other.
            onnxscript_version=package_version("onnxscript"),
            onnxslim_version=package_version("onnxslim"),
            code=self._code_of_model("export_onnx", model),
        )

    def cast(self) -> Settings:
        """Return what an ONNX file of lower precision is keyed on."""
        return Settings(modelopt_version=package_version("nvidia-modelopt"), code=self._code("cast_onnx"))

    def quantization(self, model: str) -> Settings:
        """Return what a quantized ONNX file is keyed on."""
        chosen = self.config["calibration"]
        return Settings(
            self._input(model),
            **{name: chosen[name] for name in ("max_images", "min_images", "method")},
            images_sha256=self._images(chosen["images"], chosen["max_images"]),
            modelopt_version=package_version("nvidia-modelopt"),
            code=self._code("quantize_onnx"),
        )

    def engine(self, target: str, precision: str) -> Settings:
        """Return what an engine is keyed on."""
        runtime = self.runtime(target)
        return Settings(
            self._builder(target, precision) if self.runs_tensorrt(target) else {},
            runtime=runtime,
            runtime_version=self.runtime_version(runtime, target),
            precision=precision,
            hardware=self.hardware(target),
            code=self._code_with_runtime("build_engine", target),
        )

    def gates(self, target: str, precision: str) -> str:
        """Return the options that tell which new engines may replace an old one; no engine is keyed on them."""
        if self.runtime(target) != "tensorrt":
            return ""
        limits = json.dumps(self.config["accuracy"]["limits"][precision])
        return str(Settings(limits=limits, max_slowdown=self.tensorrt(target)["max_slowdown"]))

    def preflight(self) -> Settings:
        """Return what the trial build without a GPU is keyed on."""
        chosen = self.config["preflight"]
        return Settings(
            compute_capability=chosen["compute_capability"],
            profiles=json.dumps([sizes_of(profile) for profile in self.config["tensorrt"]["profiles"]]),
            tensorrt_rtx_version=toolchain.runtime_version("tensorrt_rtx"),
            code=self._code("preflight", "tensorrt"),
        )

    def benchmark(self, model: str, target: str) -> Settings:
        """Return what a benchmark is keyed on."""
        measured = dict(self.config["benchmark"])
        if not self.runs_on_gpu(target):
            measured.pop("streams")
        return Settings(
            {**self._input(model), **measured},
            hardware=self.hardware(target),
            torch_version=package_version("torch"),
            code=self._code_with_runtime("benchmark", target) | self._code_of_architecture(model),
        )

    def accuracy(self, model: str, target: str, precision: str) -> Settings:
        """Return what the comparison of an engine's answers with PyTorch's is keyed on."""
        checked = self.config["accuracy"]
        return Settings(
            {**self._input(model), **checked["limits"][precision]},
            labelled_sha256=self._images(checked["labelled"], checked["max_images"]),
            max_images=checked["max_images"],
            min_top1=checked["min_top1"],
            labels_from_sha256=self._content(self.config["models"][model]["labels"]),
            torch_version=package_version("torch"),
            code=self._code_with_runtime("check_accuracy", target) | self._code_of_architecture(model),
        )

    def checkpoint_accuracy(self, model: str) -> Settings:
        """Return what the checkpoint's own accuracy on labelled photographs is keyed on."""
        chosen, checked = self.config["models"][model], self.config["accuracy"]
        return Settings(
            chosen["preprocess"],
            labelled_sha256=self._images(checked["labelled"], checked["max_images"]),
            max_images=checked["max_images"],
            min_top1=checked["min_top1"],
            labels_from_sha256=self._content(chosen["labels"]),
            torch_version=package_version("torch"),
            code=self._code_of_model("evaluate_checkpoint", model),
        )

    def load_test(self, model: str, target: str) -> Settings:
        """Return what the load test is keyed on; the limits are not part of it, they only choose among its results."""
        tested = self.config["load_test"]
        swept = ("concurrency", "instances", "max_batch_sizes", "requests", "stability_percent")
        return Settings(
            {name: tested[name] for name in swept},
            crop=self.crop(model),
            hardware=self.hardware(target),
            pytriton_version=package_version("nvidia-pytriton"),
            tritonclient_version=package_version("tritonclient"),
            model_analyzer_version=package_version("triton-model-analyzer"),
            code=self._code_with_runtime("load_test", target) | self._sources.of_adapter(),
        )

    def reports(self) -> Settings:
        """Return what the load test's reports are keyed on."""
        return Settings(self._limits(), code=self._code("typeset_reports"))

    def selection(self) -> Settings:
        """Return what the choice of a configuration is keyed on."""
        return Settings(self._limits(), code=self._code("choose_configuration"))

    def report_page(self) -> Settings:
        """Return what the page that shows everything measured of a model is keyed on."""
        return Settings(
            engines=[f"{target}/{precision}" for target in self.targets for precision in self.precisions(target)],
            variants=self.variants(),
            labelled=self.config["accuracy"]["labelled"] is not None,
            template_sha256=self._content(str(REPORT_TEMPLATE)),
            code=self._code("write_report"),
        )

    def repository(self, model: str, target: str) -> Settings:
        """Return what the model repository is keyed on."""
        return Settings(
            name=f"{model}_trt",
            crop=self.crop(model),
            triton_release=self.config["triton"]["release"],
            code=self._code_with_runtime("write_repository", target) | self._sources.of_adapter(),
        )

    def monitoring(self) -> Settings:
        """Return what the alerts and the dashboard are keyed on; their thresholds come from files."""
        return Settings(code=self._code("write_monitoring"))

    def publication(self, record: str = "") -> Settings:
        """Return what a published repository is keyed on; raise SlipwayError when nothing says where to publish."""
        to = self.config["deploy"]["publish"]["to"]
        if to is None:
            raise SlipwayError(
                "config: `deploy.publish.to` says nowhere to publish to; set it to the folder on which the claim is "
                "mounted, or to storage such as s3://bucket/prefix"
            )
        return Settings(
            to=to,
            claim_path=self.config["deploy"]["cluster"]["claim_path"],
            publication=publication_number(Path(record)),
            public_key_sha256=self._public_key(),
            code=self._code("publish"),
        )

    def signature(self, signature: str = "") -> Settings:
        """Return what a repository's signature is keyed on: of the private key, where it lies and its public half."""
        private_key = self.config["deploy"]["signing"]["private_key"]
        if private_key is None:
            raise SlipwayError("config: `deploy.signing.private_key` names no key to sign with")
        from slipway.repositories.signing_keys import signer  # only here, where something is signed

        signed_by = signer(private_key, Path(signature), self._fingerprints.remember)
        told = {"private_key": private_key, "signed_by": signed_by, "public_key_sha256": self._public_key()}
        return Settings(told, code=self._code("sign_repository"))

    def local_server(self, silent: dict[str, str] | None = None) -> Settings:
        """Return where the local server listens, and which start of it a deployment made now is about.

        It is the next one where a model is `silent`, that is, live but not answering.
        """
        chosen = self.config["deploy"]
        listening = {name: chosen[name] for name in ("host", "grpc_port", "metrics_port", "shared_memory")}
        http = {"http_port": chosen["http_port"]} if chosen["http"] else {}
        tls = {}
        if any(chosen["tls"].values()):
            from slipway.triton.server_tls import planned_tls  # the Snakefile is parsed without, where there is none

            tls = planned_tls(chosen["host"], chosen["tls"], self._content)
        return Settings(
            listening | http | tls,
            start=local_server.next_start() if silent else local_server.start_number(),
            public_key_sha256=self._public_key(),
            code=self._code("deploy"),
        )

    def silent(self) -> dict[str, str]:
        """Return {name of a model that is live here but does not answer: why}; only a running server is asked."""
        if local_server.recorded_server() is None:
            return {}
        from slipway.triton.liveness import why_silent  # it takes half a second to import

        return why_silent()

    def remote(self) -> Settings:
        """Return what a deployment to another place is keyed on, beside its manifests."""
        chosen = self.config["deploy"]
        return Settings(
            {"to": chosen["to"], "context": chosen["cluster"]["context"], "publish_to": chosen["publish"]["to"]},
            public_key_sha256=self._public_key(),
            code=self._code("deploy_remote"),
        )

    def manifests(self) -> Settings:
        """Return what a model's deployment manifests are keyed on, beside what was measured."""
        chosen, triton = self.config["deploy"], self.config["triton"]
        of_machine = ("host", "http_port", "grpc_port", "metrics_port", "ready_timeout_s")
        return Settings(
            {name: chosen[name] for name in of_machine},
            targets=self.fleet,
            cluster=json.dumps({**chosen["cluster"], "context": None}, sort_keys=True),
            compose=json.dumps(chosen["compose"], sort_keys=True),
            compose_target=self.deployed_target,
            triton_release=triton["release"],
            oldest=triton["oldest"],
            image=triton["image"],
            code=self._code("write_manifests"),
        )

    def bom(self) -> Settings:
        """Return what a bill of materials is keyed on beside files: the packages that Slipway asks for."""
        versions = {name: package_version(name) for name in toolchain.asked_packages()}
        return Settings(
            targets=self.fleet,
            packages=[f"{name}=={version}" for name, version in versions.items() if version != toolchain.ABSENT],
            code=self._code("write_bom"),
        )
