"""Read a built engine by its record, and prove by its hash that it is the engine of that record."""

from dataclasses import dataclass
from pathlib import Path

from slipway.core.artifacts import read_json, sha256
from slipway.core.errors import SlipwayError


@dataclass(frozen=True)
class RecordedEngine:
    """An engine on disk and its build record."""

    path: Path
    record: dict

    @classmethod
    def of_record(cls, record_path: Path) -> "RecordedEngine":
        """Return the engine that a build record describes. It lies beside the record.

        Raises SlipwayError if one of its files is missing or has changed since the build.
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
        """Return all files of the engine."""
        return [self.path.with_name(name) for name in self.record["files"]]
