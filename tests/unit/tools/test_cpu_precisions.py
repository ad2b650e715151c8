"""What is measured of a CPU's precisions; the measuring itself is `make measure`."""

import pytest
import yaml
from PIL import Image

from slipway.core.artifacts import write_json
from slipway.tools import cpu_precisions
from slipway.tools.snakemake_runs import REPOSITORY

SELECTION = {
    "precision": "int8",
    "max_batch_size": 8,
    "instances": 1,
    "measured": {"throughput_per_s": 90.0, "p99_ms": 50.0, "concurrency": 4, "verdict": "steady", "mean_ms": 40},
    "limits": {"p99_ms": 1000},
    "capacity": {
        "capacity_per_s": 80.0,
        "holds_at": 80.0,
        "breaks_at": 88.0,
        "limited_by": "p99_ms",
        "verdict": "steady",
        "why": "",
        "words": "80",
        "points": [],
    },
}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Return a function that measures into tmp_path, where the workflow writes small records."""
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    monkeypatch.setattr(cpu_precisions, "available", lambda: ["fp32", "int8"])

    def make_records(folder, *asked, shown):
        for path in asked[1:]:
            write_json(folder / path, SELECTION | {"origin": "rehearsal", "samples_ms": []})
            for name in (
                "analysis/analysis",
                *(f"{(folder / path).parents[1].name}.{p}.accuracy" for p in ("fp32", "int8")),
            ):
                sample = dict.fromkeys(cpu_precisions.AGREEMENT, 1.0)
                write_json((folder / path).parent / f"{name}.json", {"measurements": [], "sample": sample})

    monkeypatch.setattr(cpu_precisions, "snakemake", make_records)
    return lambda photographs=None: cpu_precisions.measure(tmp_path, config, photographs)


def test_both_models_are_measured_with_the_precisions_of_this_cpu(measured, tmp_path):
    models = measured()
    assert list(models) == ["resnet50", "efficientnet_lite0"]
    config = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert config["targets"] == {"cpu": {"runtime": "openvino", "precisions": ["fp32", "int8"]}}
    assert models["resnet50"]["agreement"]["int8"] == dict.fromkeys(cpu_precisions.AGREEMENT, 1.0)
    assert "samples_ms" not in models["resnet50"]["benchmark"]
    assert models["resnet50"]["calibrated_on"] == "crops of the sample photograph"


def test_the_choice_has_its_closed_loop_and_its_capacity(measured):
    chosen = measured()["resnet50"]["chosen"]
    assert chosen["closed_loop"] == {"throughput_per_s": 90.0, "p99_ms": 50.0, "concurrency": 4, "verdict": "steady"}
    assert chosen["open_loop"]["capacity_per_s"] == 80.0


def test_without_photographs_int8_is_calibrated_on_different_crops(measured, tmp_path):
    measured()
    crops = [Image.open(path).tobytes() for path in (tmp_path / "photographs").iterdir()]
    assert len(set(crops)) == cpu_precisions.PHOTOGRAPHS


def test_given_photographs_are_those_that_calibrate(measured, tmp_path):
    (tmp_path / "mine").mkdir()
    assert measured(tmp_path / "mine")["resnet50"]["calibrated_on"] == "photographs"
    assert (tmp_path / "photographs").resolve() == tmp_path / "mine"
