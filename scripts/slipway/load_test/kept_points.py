"""Store the measured points of load tests in results/.measured/, by the hash of engine, configuration and load.

So a load test reuses the points of an interrupted load test, and a load test with a wider sweep measures only the new
points. When a load test has finished, only steady points with full windows stay stored, and the next load test measures
the other points again. `keyed_model_analyzer` reads the stored points; this module writes them.

results/.measured/<model>/<target>/<hash>.json    {"measurement", "row", "engine", "measured_at"}
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
    """The measured points of earlier load tests of a model on a target, stored as files in the folder `store`.

    A point is a configuration with a number of requests in flight. Its file is named by its hash.
    """

    store: Path

    def reuse(self, key: str) -> dict:
        """Return the figures that `keep` stored for the point with the hash `key`.

        "measured_at" is added: the time of the point's measurement.
        """
        content = read_json(self.store / f"{key}.json")
        return content["row"] | {"measured_at": content["measured_at"]}

    def keep(self, key: str, measurement: Mapping, figures: Mapping[str, Any], engine: RecordedEngine) -> None:
        """Store a point of this run under the hash `key`, so that later load tests need not measure it.

        `measurement` is Model Analyzer's, in the form of its checkpoint. `figures` are the figures of the point's row
        that the measurement lacks (see `ProgressReader`). `engine` is the measured engine.
        """
        content = {
            "measurement": measurement,
            "row": figures,
            "engine": engine.record["files"],
            "measured_at": utc_now(),
        }
        write_json(self.store / f"{key}.json", content)

    def finish(self) -> None:
        """Remove the points that the next load test measures again: disturbed, shortened and damaged points.

        Call it when a load test has finished. An interrupted load test keeps all its points.
        """
        for path in self.store.glob("*.json"):
            content = read_record(path, {"row": {"shortened": bool, "verdict": str}})
            if content is None or is_disturbed(content["row"]) or content["row"]["shortened"]:
                path.unlink()


def engine_is_gone(point: Path, folder: Path) -> bool:
    """Say whether a stored point is useless, since its engine is gone: no build record in `folder` has this engine.

    `point` is the file of the point, `folder` is results/<model>/<target>. True for a damaged point.
    """
    content = read_record(point, {"engine": dict})
    records = (read_record(path, {"files": dict}) for path in folder.glob("*.engine.json"))
    return content is None or not any(record and record["files"] == content["engine"] for record in records)


def base_of(repository: Path, name: str, input_data: Path, conditions: Mapping[str, Any]) -> str:
    """Return the hash of everything that a candidate's measurements depend on, except its configuration and the load.

    The hash covers the engine, the code that serves the engine (both in repository/name), the samples in the file
    `input_data`, and `conditions`, {name: value}: hardware, versions, server, program.
    """
    files = {path: digest for path, digest in tree_digest(repository / name).items() if not path.endswith(".pbtxt")}
    parts = [files, sha256(input_data), dict(conditions)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
