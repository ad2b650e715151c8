"""README's picture and the charts of docs/results.md: their figures are those of the records, their words real ones."""

import re
from xml.etree import ElementTree

import pytest
from helpers.workplace import REPOSITORY

import draw_pictures
from slipway.core.artifacts import read_json

BENCHMARK, LOAD_TEST = (
    read_json(REPOSITORY / "docs" / "measurements" / "h100" / name)
    for name in ("resnet50.json", "resnet50.tensorrt-8.5.json")
)
SVG = "{http://www.w3.org/2000/svg}"
SAID = """Building DAG of jobs...
[Sun Nov 29 11:10:28 2026]
Job 2: Fetching the weights of my_model
Reason: weights 7d0f1a2b.. -> 93c4e8aa..
[Sun Nov 29 11:10:28 2026]
Job 6: Profiling my_model in PyTorch
Reason: results/my_model/profile/profile.json missing; after fetch_weights
[Sun Nov 29 11:10:28 2026]
Job 9: Building the bf16 engine of my_model for cpu
Reason: after export_onnx
[Sun Nov 29 11:10:28 2026]
Job 11: Benchmarking PyTorch and every engine of my_model on cpu
Reason: results/my_model/cpu/my_model.benchmark.json missing
"""


def texts(name):
    """Return the texts of a picture, and the picture."""
    picture = ElementTree.parse(REPOSITORY / "docs" / name).getroot()
    return ["".join(text.itertext()).strip() for text in picture.iter(f"{SVG}text")], picture


def test_readme_has_the_measured_throughputs_and_bars_of_their_lengths():
    words, picture = texts("readme.svg")
    best, ratios = (BENCHMARK["benchmark"][name] for name in ("best_throughput", "best_throughput_ratios"))
    rates = [best[subject]["inferences_per_s"] for subject in ("pytorch", "pytorch_fp16", "fp16", "int8")]
    numbers = [word for word in words if re.match(r"[\d,]+( \([\d.]+ times\))?$", word)]
    assert [number.split()[0] for number in numbers] == [f"{rate:,.0f}" for rate in rates]
    assert [number.split()[1] for number in numbers[2:]] == [
        f"({ratios[precision]['pytorch']:.1f}" for precision in ("fp16", "int8")
    ]
    bars = [each for each in picture.iter(f"{SVG}rect") if each.get("class") in ("base", "own", "best")]
    widths = [float(bar.get("width")) for bar in bars]
    assert widths == pytest.approx([max(widths) * rate / max(rates) for rate in rates], abs=0.1)
    assert any("TensorRT 8.6.0" in word and BENCHMARK["measured_at"][:10] in word for word in words)


def test_readme_has_a_dry_run_in_the_words_of_the_rules():
    words, _ = texts("readme.svg")
    said = words[words.index("$ snakemake -n deploy") + 1 :]
    messages = [
        ".+".join(map(re.escape, re.split(r"\{[\w.]+\}", message)))
        for path in (REPOSITORY / "rules").glob("*.smk")
        for message in re.findall(r'message:\n +"(.*)"', path.read_text(encoding="utf-8"))
    ]
    jobs = [line.partition(": ")[2] for line in said if line.startswith("Job ")]
    assert any(re.match(r"Building the \w+ engine of \w+ for \w+$", job) for job in jobs)
    assert [job for job in jobs if not any(re.fullmatch(message, job) for message in messages)] == []
    assert any(re.match(r"Reason: weights [0-9a-f]{8}\.\. -> [0-9a-f]{8}\.\.", line) for line in said)


def test_the_picture_is_small_and_says_in_words_what_it_shows():
    path = REPOSITORY / "docs" / "readme.svg"
    assert path.stat().st_size < 20_000
    words, picture = texts("readme.svg")
    alternative = picture.find(f"{SVG}title").text
    assert "66,472" in alternative
    assert "snakemake -n deploy" in alternative
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    place = next(number for number, line in enumerate(readme) if "](docs/readme.svg)" in line)
    assert place < 12, "it is on the first screen"
    assert re.match(r"!\[.{40,}\]", readme[place]), "it has a text for those who cannot see it"
    assert len(readme) <= 200
    assert words


def test_the_jobs_up_to_the_engines_are_shown_with_their_reasons():
    lines = draw_pictures.terminal(SAID)
    assert [line.text for line in lines] == [
        "$ snakemake -n deploy",
        *(SAID.splitlines()[number] for number in (2, 3, 8, 9)),
        "...",
    ]
    assert [line.kind for line in lines] == ["command", "output", "reason", "output", "reason", "output"]
    assert all(
        len(line.text) <= draw_pictures.LETTERS for line in draw_pictures.terminal(SAID.replace("7d0f", "x " * 90))
    )


def test_a_picture_is_well_formed_whatever_the_words_are():
    odd = [draw_pictures.Line("<&\"'>", "reason")]
    assert ElementTree.fromstring(draw_pictures.picture(BENCHMARK, odd)) is not None


def test_the_charts_of_the_load_test_are_those_of_the_record():
    for name, svg in draw_pictures.charts(LOAD_TEST).items():
        assert (REPOSITORY / "docs" / f"{name}.svg").read_text(encoding="utf-8") == svg, "run make pictures"
