"""The traits of a runtime: all facts about it that Slipway needs without importing it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class NativeBackend:
    """Triton's own backend for a runtime's engines, and KServe's name for their model format."""

    name: str
    kserve_format: str
    parameters: Mapping[str, str] = field(default_factory=dict)  # in config.pbtxt, for every precision
    parameters_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # {precision: additional parameters}


@dataclass(frozen=True, kw_only=True)
class RuntimeTraits:
    """The facts in the `traits.json` of a runtime's folder, which has the runtime's name.

    If `native_backend` is None, Triton serves the engines only by the Python backend, and only on this machine.
    """

    name: str
    title: str  # in sentences, such as "ONNX Runtime"
    package: str  # the distribution whose version engines are keyed on; envs/requirements.txt pins it
    hardware: str  # "cpu" or "gpu"
    precisions: tuple[str, ...]
    newest_opset: int  # of ONNX that it reads
    suffixes: tuple[str, ...]  # of an engine's files in results/; the first file is the one to load
    engine_file: str  # name of this file in a model repository
    native_backend: NativeBackend | None
    names_other_files: bool = False  # the first file names the others, so they keep their names in a repository
    builds_without_hardware: bool = False
    module: str = ""  # the folder with its code, if another runtime has it
    # The distribution that runs its engines in the environment that serves, if another, such as a smaller one.
    serving_package: str = ""

    def __post_init__(self) -> None:
        if self.hardware not in ("cpu", "gpu"):
            raise ValueError(f"`hardware` is {self.hardware!r}, but must be 'cpu' or 'gpu'")
        if isinstance(self.native_backend, dict):  # as in the file
            object.__setattr__(self, "native_backend", NativeBackend(**self.native_backend))
        if not self.module:
            object.__setattr__(self, "module", self.name)
        if not self.serving_package:
            object.__setattr__(self, "serving_package", self.package)

    @property
    def is_tensorrt(self) -> bool:
        """Say whether the runtime is an edition of TensorRT, which may have its own interpreter."""
        return self.module == "tensorrt"

    @property
    def needs_gpu(self) -> bool:
        """Say whether the engines run on a GPU."""
        return self.hardware == "gpu"

    @property
    def backend(self) -> str:
        """Return the Triton backend for config.pbtxt on a server with all backends: the native one, else "python"."""
        return self.native_backend.name if self.native_backend else "python"
