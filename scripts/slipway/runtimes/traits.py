"""The traits of a runtime: all facts that Slipway needs without an import of the runtime."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class NativeBackend:
    """Triton's own backend for a runtime's engines, and KServe's name for their model format.

    `parameters` are those in config.pbtxt for every precision. `parameters_of` is {precision: additional parameters}.
    """

    name: str
    kserve_format: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    parameters_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RuntimeTraits:
    """The facts in the `traits.json` of a runtime. The name of its folder is the runtime's name.

    `suffixes` are those of an engine's files in results/; the first file is the one to load. `engine_file` is its name
    in a model repository. If `names_other_files`, the first file names the others, so these keep their names in a
    repository. `module` is the folder with the runtime's code, if this is the folder of another runtime.
    `serving_package` is the distribution that runs engines in the serving environment, if it is not `package`. If
    `native_backend` is None, Triton can serve the engines only with the Python backend, and only on this machine.
    """

    name: str
    title: str  # in sentences, such as "ONNX Runtime"
    package: str  # the distribution whose version engines are keyed on; envs/requirements.txt pins it
    hardware: str  # "cpu" or "gpu"
    precisions: tuple[str, ...]
    newest_opset: int  # the newest ONNX opset that the runtime reads
    suffixes: tuple[str, ...]
    engine_file: str
    native_backend: NativeBackend | None
    names_other_files: bool = False
    builds_without_hardware: bool = False
    module: str = ""
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
        """Return whether the runtime is an edition of TensorRT, which may need its own interpreter."""
        return self.module == "tensorrt"

    @property
    def needs_gpu(self) -> bool:
        """Return whether the engines run on a GPU."""
        return self.hardware == "gpu"

    @property
    def backend(self) -> str:
        """Return the name of the Triton backend for config.pbtxt: the native backend, or "python" if there is none.

        This is for a server with all Triton backends.
        """
        return self.native_backend.name if self.native_backend else "python"
