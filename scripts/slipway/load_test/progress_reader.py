"""Read the output of Model Analyzer during a load test: its progress, and the figures of each measured point."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from slipway.core.cli import progress
from slipway.core.steadiness import DISTURBED, STEADY
from slipway.engines.recorded_engine import RecordedEngine
from slipway.load_test.analyzed_points import BEGINS, EVENT, MEASURED, NO_FIGURES, OUT_OF_TIME, REUSED, WINDOWS
from slipway.load_test.interference import PointMonitor
from slipway.load_test.kept_points import KeptPoints
from slipway.load_test.limits import is_crowded, point_in_words


@dataclass
class ProgressReader:
    """A reader of Model Analyzer's output, which copies it into the log, prints the progress, and collects the rows.

    `engines` is {name of the Triton model: engine}. `rows` has one measurement for each point, of this run or of an
    earlier run: the keys of `point_of`, "precision", the names in FIGURES, and the keys of `_figures`. `kept` stores
    the measurements of this run for later runs. Before and after each measurement, `require_own` checks that the ports
    belong to the load test's own server. `stability_percent`: the largest spread of a steady point. `out_of_time`:
    whether a point was skipped or cut short.
    """

    engines: Mapping[str, RecordedEngine]
    kept: KeptPoints
    monitor: PointMonitor
    require_own: Callable[[], None]
    stability_percent: float
    rows: list[dict] = field(default_factory=list)
    out_of_time: bool = False
    _windows: dict = field(default_factory=dict)
    _point: str = ""

    def __call__(self, line: str) -> None:
        """Read one line of Model Analyzer's output, and copy it into the log.

        A line may have an event, such as a measured point, or a message about the progress.
        """
        if line.startswith(EVENT):
            self._read_event(*json.loads(line.removeprefix(EVENT)))
            return
        print(line, flush=True)
        if re.search(r"Profiling \S+: concurrency=\d+", line):
            self.monitor.restart()
            self.require_own()
        elif "load failed" in line:
            progress(f"  not measured: {self._point}: {line.removeprefix('[Model Analyzer] ')}")

    def _read_event(self, event: str, content: dict) -> None:
        measurement = content.pop("measurement", {})  # too long for the log
        print(f"{EVENT}{event} {content}", flush=True)
        if event == BEGINS:
            self._point = point_in_words(self._with_precision(content))
            progress(f"  measuring {self._point}")
        elif event == WINDOWS:
            self._windows = content | self.monitor.figures()
        elif event in (MEASURED, REUSED):
            row, key = self._with_precision(content["row"]), content["key"]
            if event == REUSED:
                progress(f"  {point_in_words(row)}: measured by an earlier run")
                figures = self.kept.reuse(key)
            else:
                self.require_own()  # Model Analyzer waits until the point is stored, so its server still runs
                figures = self._figures()
                self.kept.keep(key, measurement, figures, self.engines[row["model"]])
            self.rows.append(row | figures)
        elif event == NO_FIGURES:
            progress(f"  not measured: {self._point}: {content['reason']}")
        elif event == OUT_OF_TIME:
            self.out_of_time = True

    def _with_precision(self, point: dict) -> dict:
        return {"precision": self.engines[point["model"]].record["key"]["precision"], **point}

    def _figures(self) -> dict:
        """Return the figures of the measured point that Model Analyzer lacks.

        They are the windows ("windows_per_s"), "p50_ms" and "p99_interval_ms" of perf_analyzer, the figures of
        `PointMonitor.figures`, and these three. "spread_percent": by how much the fastest window exceeds the slowest.
        "verdict": "disturbed" if the spread is more than `stability_percent`, if perf_analyzer found no three windows
        that agree, or if other programs took CPU time while hardly any was idle; otherwise "steady". "shortened":
        whether windows have fewer requests than configured, since full windows would have taken too long.
        """
        figures = dict(self._windows)
        rates, unstable = figures["windows_per_s"], figures.pop("unstable")
        spread = round(100 * (max(rates) / min(rates) - 1), 1) if rates and min(rates) else None
        disturbed = unstable or spread is None or spread > self.stability_percent or is_crowded(figures)
        return figures | {"spread_percent": spread, "verdict": DISTURBED if disturbed else STEADY}
