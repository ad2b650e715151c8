"""The tables of docs/measurements/h200/serving.md have the figures of its record."""

from statistics import median

import write_figures
from slipway.core.artifacts import read_json

PAGE, RECORD = (write_figures.MEASUREMENTS / "h200" / f"serving.{suffix}" for suffix in ("md", "json"))
SHARED = "shared memory"


class Served:
    """The rounds of the experiments, by (job, variant, instances, largest batch, images a request, in flight, way)."""

    def __init__(self):
        names = ("job", "variant", "instances", "max_batch_size", "images_a_request", "in_flight", "through")
        points = read_json(RECORD)["points"]
        self.rounds = {tuple(point[name] for name in names): point["rounds"] for point in points}

    def medians(self, point, *names):
        return [median(one[name] for one in self.rounds[point]) for name in names]

    def cell(self, *point):
        """Return the images/s of a point, with their range if it has several rounds, and its p99."""
        if point not in self.rounds:
            return ""
        rates = [one["images_per_s"] for one in self.rounds[point]]
        spread = f" ({min(rates):,.0f} to {max(rates):,.0f})" if len(rates) > 1 else ""
        [p99] = self.medians(point, "p99_ms")
        return f"{median(rates):,.0f}{spread}, {p99:.0f} ms"

    def speeds(self, job, variant, instances, largest, images, in_flight):
        if images == 1:
            columns = [(1, in_flight, "grpc"), (1, in_flight, SHARED)]
            place = f"{instances}, {largest}, {in_flight}"
        else:
            columns = [(images, 16, SHARED), (images, 8, SHARED)]
            place = f"{instances}, {largest}"
        cells = [self.cell(job, variant, instances, largest, *column) for column in columns]
        return f"| {variant}: {place} | {' | '.join(cells)} |"

    def cpu(self, *point):
        *times, busy = self.medians(point, "server_us", "instances_us", "client_us", "cores_busy")
        _, variant, instances, largest, _, in_flight, through = point
        figures = " | ".join(f"{time:.0f}" for time in times)
        return f"| {variant}, {through}: {instances}, {largest}, {in_flight} | {figures} | {busy:.1f} |"

    def steps(self, step, *points):
        [first], [second] = (self.rounds[point] for point in points)
        return f"{first['steps_ms'][step]:.2f} | {second['steps_ms'][step]:.2f} |"


def rows():
    """Return the rows of the tables of speeds, and those of CPU times."""
    served = Served()
    points = [point for point in served.rounds if "steps" not in point[1]]
    return [list(dict.fromkeys(served.speeds(*point[:6]) for point in points))] + [
        [served.cpu(*point) for point in points if point[0] == 1 and point[4] == 1]
    ]


def test_the_page_has_the_figures_of_the_record():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    tables = rows()
    assert all(tables)
    assert [row for table in tables for row in table if row not in lines] == []


def test_the_steps_of_an_instance_are_those_of_the_record():
    served, points = Served(), [(1, 64, "grpc"), (32, 16, SHARED)]
    largest = {1: 8, 32: 128}
    noted = [(1, "main, steps noted", 4, largest[point[0]], *point) for point in points]
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for step in ("between", "read", "shapes", "copy", "enqueue", "wait", "answers", "execute", "gpu"):
        assert any(line.endswith(f"| {served.steps(step, *noted)}") for line in lines), step
