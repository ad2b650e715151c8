"""Find a built engine by its build record, and verify the SHA-256 of its files.

The build record is the JSON that build_engine.py writes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.core.artifacts import read_json, sha256
from slipway.core.errors import SlipwayError
from slipway.keys.optimization_profiles import in_words, unsupported_batches
from slipway.runtimes import RUNTIMES

if TYPE_CHECKING:
    from typing import Self  # TensorRT's interpreter may be Python 3.10, which lacks it


@dataclass(frozen=True)
class RecordedEngine:
    """An engine on disk: the `path` of its first file, and its build record, the JSON that build_engine.py writes."""

    path: Path
    record: dict

    @classmethod
    def of_record(cls, record_path: Path) -> "Self":
        """Return the engine that a build record describes. Its files lie beside the record.

        Raises SlipwayError if a file is missing, or has changed since the build.
        """
        record = read_json(record_path)
        for name, expected in record["files"].items():
            file = record_path.with_name(name)
            if not file.is_file() or sha256(file) != expected:
                raise SlipwayError(
                    f"{file} is not the file that was built: edited, truncated or missing; remove it and run snakemake"
                )
        return cls(record_path.with_name(next(iter(record["files"]))), record)

    @property
    def files(self) -> list[Path]:
        """Return the paths of all files of the engine."""
        return [self.path.with_name(name) for name in self.record["files"]]

    @property
    def profiles(self) -> list[dict]:
        """Return the optimization profiles of a TensorRT engine: {"min", "opt", "max"}, its batch sizes.

        For another runtime, return [], since its engines accept any batch size.
        """
        return self.record["profiles"] if RUNTIMES[self.record["key"]["runtime"]].is_tensorrt else []

    def require_batches(self, sizes: Iterable[int], setting: str) -> None:
        """Raise SlipwayError if no optimization profile accepts one of the batch sizes.

        `setting` states in words which setting has these sizes. The message begins with it.
        """
        if missing := unsupported_batches(self.profiles, sizes):
            raise SlipwayError(
                f"{setting}, but {self.path.name} was built for batches of {in_words(self.profiles)}, not "
                f"{missing[0]}; lower the size, or widen `tensorrt.profiles` in config.yaml"
            )
