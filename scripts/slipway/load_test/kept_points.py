"""Measured points of load tests, kept by the hash of engine, configuration and load in results/.measured/.

After an interrupted load test, the next load test takes these points. A load test with a wider sweep measures only the
new points. When a load test has finished, only steady points with full windows stay, so that the next load test
measures the other points again. `keyed_model_analyzer` looks kept points up and measures the other points; this module
stores them.

results/.measured/<model>/<target>/<hash>.json    {"measurement": Model Analyzer's, "row", "engine", "measured_at"}
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.core.artifacts import read_json, sha256, tree_digest, write_json
from slipway.core.clock import utc_now
from slipway.core.records import read_record
from slipway.engines.recorded_engine import RecordedEngine
from slipway.load_test.limits import is_disturbed

FOLDER = Path("results/.measured")


@dataclass(frozen=True)
class KeptPoints:
    """The kept points of a model on a target, in the folder `store`."""

    store: Path

    def reuse(self, key: str) -> dict:
        """Return the figures of a point of an earlier run, with "measured_at"."""
        content = read_json(self.store / f"{key}.json")
        return content["row"] | {"measured_at": content["measured_at"]}

    def keep(self, key: str, measurement: Mapping, figures: Mapping[str, Any], engine: RecordedEngine) -> None:
        """Keep a point of this run: Model Analyzer's measurement, and the figures that it does not have."""
        content = {
            "measurement": measurement,
            "row": figures,
            "engine": engine.record["files"],
            "measured_at": utc_now(),
        }
        write_json(self.store / f"{key}.json", content)

    def finish(self) -> None:
        """Remove the points that the next load test measures again: disturbed, shortened and damaged points."""
        for path in self.store.glob("*.json"):
            content = read_record(path, {"row": {"shortened": bool}})
            if content is None or is_disturbed(content["row"]) or content["row"]["shortened"]:
                path.unlink()


def engine_is_gone(point: Path, folder: Path) -> bool:
    """Say whether no build record in a target's folder has the engine of a kept point. A damaged point has none."""
    content = read_record(point, {"engine": dict})
    records = (read_record(path, {"files": dict}) for path in folder.glob("*.engine.json"))
    return content is None or not any(record and record["files"] == content["engine"] for record in records)


def base_of(repository: Path, name: str, input_data: Path, conditions: Mapping[str, Any]) -> str:
    """Return the hash of all that a measurement of a candidate depends on, but for its configuration and the load.

    That is the engine, the code that serves it, the samples, and `conditions`: hardware, versions, server, program.
    """
    files = {path: digest for path, digest in tree_digest(repository / name).items() if not path.endswith(".pbtxt")}
    parts = [files, sha256(input_data), dict(conditions)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
