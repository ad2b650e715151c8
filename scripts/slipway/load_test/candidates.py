"""The candidates of a load test: each engine as a Triton model, and the server that runs these models."""

import argparse
import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from slipway.benchmark.gpu_monitor import GpuMonitor
from slipway.contract.archives import read_samples
from slipway.contract.contract import Contract, Tensors
from slipway.contract.served_form import as_served
from slipway.core.hardware import is_gpu
from slipway.core.serving_environment import require_same_version
from slipway.engines.recorded_engine import RecordedEngine
from slipway.load_test.model_analyzer import input_data, write_input_data
from slipway.runtimes import RUNTIMES
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_config import Served, ServingOptions
from slipway.triton.repository.model_folder import served_model, write_model
from slipway.triton.server.installation import PYTHON_CONFIGURATION, Installation, find_installation
from slipway.triton.server.restricted_apis import header, new_key
from slipway.triton.server.server_options import ServerChoice, choice_of
from slipway.triton.server.tensorrt_versions import require_inside
from slipway.triton.server.tritonserver import Server

# Seconds for a server to get ready.
READY_S = 300.0


@dataclass(frozen=True)
class Running:
    """A running Triton server with the models in folder/repository.

    `header`, {name: secret key}, lets a client load and unload models; the server refuses this to other clients.
    """

    server: Server
    header: Mapping[str, str]
    folder: Path


@dataclass(frozen=True)
class Candidates:
    """The engines of one target (a kind of GPU or CPU), the server that runs them, and the samples to send.

    `engines` is {name of the Triton model: engine}. `on_gpu`: whether the target is a GPU.
    """

    engines: Mapping[str, RecordedEngine]
    contract: Contract
    samples: Sequence[Tensors]
    server: Installation
    on_gpu: bool = False

    @classmethod
    def of(cls, engines: dict[str, RecordedEngine], workspace: Path, arguments: argparse.Namespace) -> "Candidates":
        """Return the candidates for `engines`, {name of the Triton model: engine}, and the parsed options of a program.

        The options have the contract, the samples, the hardware and the server. `workspace` is the working folder of
        the load test. Raises SlipwayError as `find_server` does.
        """
        server = find_server(engines, workspace, arguments.tensorrt_python, choice_of(arguments))
        contract, samples = Contract.read(arguments.interface), read_samples(arguments.samples)
        return cls(engines, contract, samples, server, is_gpu(arguments.hardware))

    @cached_property
    def gpu(self) -> GpuMonitor | None:
        """Return the monitor that reads the GPU's state and memory, if the target is a GPU; None otherwise."""
        return GpuMonitor() if self.on_gpu else None

    def configured(
        self, model: str, max_batch: int, instances: int, delay_us: int = 0, options: ServingOptions | None = None
    ) -> Served:
        """Return the Triton model of a candidate in one configuration. `model` is the candidate's name in `engines`.

        `max_batch` is the maximum batch size (0 without a batch axis), `delay_us` the batching delay (µs). `options`
        are options of the backend, such as a warm-up; None sets none.
        """
        return served_model(model, self.engines[model], self.contract, max_batch, instances, delay_us, options)

    def request(self, served: Served) -> Tensors:
        """Return the first sample as the inputs of a request to `served`, with the dtypes of that Triton model."""
        return as_served(self.samples[0], served.contract)

    def lay_out(self, folder: Path, served: Served, model: str | None = None) -> None:
        """Write the files that a server and perf_analyzer need for the Triton model `served`.

        The model, with a config.pbtxt for this server, goes into folder/repository, the samples into `folder`. `model`
        is the name of the candidate in `engines`; None if `served` has this name.
        """
        written = folder / "repository" / served.name
        write_model(written, served, self.engines[model or served.name])
        write_input_data(input_data(folder, served.name), self.samples, served.contract)
        if not self.server.native_backends:
            shutil.copyfile(written / "configs" / f"{PYTHON_CONFIGURATION}.pbtxt", written / "config.pbtxt")

    @contextlib.contextmanager
    def served_from(self, folder: Path, *flags: str) -> Iterator[Running]:
        """Context manager: start a server with the models in folder/repository, and stop it after the block.

        Yields when the server is ready. `flags` are further options of tritonserver.
        """
        ports = replace(Ports.free(), http=None)
        guards = self.server.guards(new_key(), ports.host)
        owner = f"{folder.parent.name}-{folder.name}"
        repositories, log = [folder / "repository"], folder / "log"
        with Server(self.server, repositories, ports, log, *flags, *guards, server_id=owner) as server:
            server.wait_until_ready(READY_S)
            yield Running(server, header(server.pid), folder)
            server.end_at_once()


def require_covered_batches(engines: dict[str, RecordedEngine], max_batch_sizes: list[int]) -> None:
    """Raise SlipwayError if Triton could form a batch that no optimization profile of an engine accepts.

    `engines` is {name of the Triton model: engine}, `max_batch_sizes` are those that the load test tries.
    """
    largest = max(max_batch_sizes)
    for engine in engines.values():
        engine.require_batches(range(1, largest + 1), f"`load_test.max_batch_sizes` goes up to {largest}")


def find_server(
    engines: dict[str, RecordedEngine], workspace: Path, python: Path | None, choice: ServerChoice
) -> Installation:
    """Return the Triton installation for the engines of one target, {name of the Triton model: engine}.

    `workspace` is a folder for the server's files. `python` is the interpreter that has TensorRT, for engines that need
    it; None is the interpreter of the serving environment. `choice` is the user's choice of the server. Raises
    SlipwayError if the server has another version of a runtime than the version that built an engine.
    """
    keys = {name: engine.record["key"] for name, engine in engines.items()}
    runtimes = {key["runtime"] for key in keys.values()}
    runs_tensorrt = any(RUNTIMES[name].is_tensorrt for name in runtimes)
    backends = {RUNTIMES[name].backend for name in runtimes}
    server = find_installation(workspace, choice, backends, python if runs_tensorrt else None)
    server = server.for_engines(keys.values())
    for name, key in keys.items():
        if server.container:
            require_inside(name, key, server.container.image, server.container.found.environment)
        elif not (server.native_backends or runs_tensorrt):
            require_same_version(name, RUNTIMES[key["runtime"]], key["runtime_version"])
    return server
