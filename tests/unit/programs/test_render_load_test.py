"""The load test's reports as a person reads them."""

import matplotlib.image
import numpy as np
import pytest
from helpers.artifacts.reported import key, load_rows
from pypdf import PdfReader

import render_load_test
from slipway.core.artifacts import write_json

CPU = "A CPU [avx2] x4"


@pytest.fixture
def rendered(tmp_path):
    """Return a function that renders a load test, and returns the texts of summary and detail."""

    def render(origin="checkpoint", p99_limit_ms=2000, **more):
        rows = load_rows(["fp32", "int8"], on_gpu=False)
        engines = {name: key(name, "openvino", CPU) for name in ("fp32", "int8")}
        tested = {"origin": origin, "engines": engines, "measurements": rows, "batched": True, **more}
        tested |= {"inputs": ["input uint8 (batch, 3, 224, 224)"]}
        write_json(tmp_path / "load.json", tested | {"server": {"native_backends": False}})
        (tmp_path / "plots" / "a").mkdir(parents=True)
        matplotlib.image.imsave(tmp_path / "plots" / "a" / "p99_latency.png", np.zeros((4, 4)))
        given = f"--p99-limit-ms {p99_limit_ms} --model resnet --target cpu".split()
        for option, name in {"load-test": "load.json", "plots": "plots", "chart": "chart.png"}.items():
            given += [f"--{option}", str(tmp_path / name)]
        given += ["--summary", str(tmp_path / "summary.pdf"), "--detail", str(tmp_path / "detail.pdf")]
        render_load_test.main(render_load_test.parse_arguments(given))
        assert matplotlib.image.imread(tmp_path / "chart.png").ndim == 3
        texts = [PdfReader(tmp_path / f"{name}.pdf").pages for name in ("summary", "detail")]
        return rows, *(" ".join(" ".join(page.extract_text() for page in pages).split()) for pages in texts)

    return render


def test_both_reports_have_every_measurement_and_the_conditions(rendered):
    rows, summary, detail = rendered()
    for text in (summary, detail):
        assert "resnet on cpu" in text
        assert CPU in text
        assert "p99 at most 2000 ms" in text
        assert "Rehearsal" not in text
        assert "disturbed: (fp32, 2 instance(s), batches up to 8, 4 in flight)" in text
        for row in rows:
            assert f"{row['throughput_per_s']:.1f}" in text
    assert "Every configuration holds the limits" in summary
    assert "a: p99 latency" in detail


def test_a_violated_limit_and_random_weights_are_told(rendered):
    _, summary, _ = rendered(origin="rehearsal", p99_limit_ms=0.001)
    assert "Rows in red exceed a limit" in summary
    assert "Rehearsal" in summary


def test_points_that_the_time_did_not_reach_are_told(rendered):
    point = {"precision": "int8", "instances": 2, "max_batch_size": 8, "concurrency": 64}
    _, *texts = rendered(minutes=2, not_measured=[point])
    for text in texts:
        assert "`load_test.minutes` (2) did not suffice" in text
        assert "(int8, 2 instance(s), batches up to 8, 64 in flight)" in text
