"""A runtime's traits: everything that Slipway has to know of it without importing it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class NativeBackend:
    """Triton's own backend for a runtime's engines, and the format that KServe calls its models."""

    name: str
    kserve_format: str
    parameters: Mapping[str, str] = field(default_factory=dict)  # of config.pbtxt, for every precision
    parameters_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # {precision: what it adds}


@dataclass(frozen=True, kw_only=True)
class RuntimeTraits:
    """What `TRAITS` states in the `traits.py` of a runtime's folder; the folder's name is the runtime's.

    Without `native_backend` (None), Triton serves its engines by the Python backend alone, and only on this machine.
    """

    name: str
    title: str  # in sentences, such as "ONNX Runtime"
    package: str  # the distribution whose version engines are keyed on; envs/requirements.txt pins it
    hardware: str  # "cpu" or "gpu"
    precisions: tuple[str, ...]
    newest_opset: int  # of ONNX that it reads
    suffixes: tuple[str, ...]  # of an engine's files in results/, the one that is loaded first
    engine_file: str  # that file's name in a model repository
    native_backend: NativeBackend | None
    refusals: Mapping[str, str] = field(default_factory=dict)  # {precision that it does not offer: why}
    builds_without_hardware: bool = False
    module: str = ""  # the folder with its code, if another runtime has it

    def __post_init__(self) -> None:
        if self.hardware not in ("cpu", "gpu"):
            raise ValueError(f"`hardware` is {self.hardware!r}, but must be 'cpu' or 'gpu'")
        if not self.module:
            object.__setattr__(self, "module", self.name)

    @property
    def is_tensorrt(self) -> bool:
        """Say whether it is an edition of TensorRT, which may have an interpreter of its own."""
        return self.module == "tensorrt"

    @property
    def needs_gpu(self) -> bool:
        """Say whether its engines run on a GPU."""
        return self.hardware == "gpu"

    @property
    def backend(self) -> str:
        """Return the Triton backend of the configuration that a server with every backend loads."""
        return self.native_backend.name if self.native_backend else "python"
