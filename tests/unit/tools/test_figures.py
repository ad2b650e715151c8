"""The figures of README and of docs/measurements/README.md are those of the records that they name."""

from statistics import median

import pytest
from helpers.workplace import REPOSITORY

from slipway.benchmark.comparison import PYTORCH, PYTORCH_FP16
from slipway.core.artifacts import read_json

BASELINES = (PYTORCH, PYTORCH_FP16)
README, ALL = (
    (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    for name in ("README.md", "docs/measurements/README.md")
)
ON_CPU, PLANNING, RESNET50, SERVED_RESNET50, EFFICIENTNET, RETRAINING, TEXT, IN_ROUNDS = (
    read_json(REPOSITORY / "docs" / "measurements" / f"{name}.json")
    for name in (
        *("cpu", "planning", "h100/resnet50", "h100/resnet50.tensorrt-8.5"),
        *("h100/efficientnet_lite0", "h100/resnet50.retraining", "h100/text", "h200/resnet50.int8"),
    )
)


def on_a_gpu():
    """Return (words that a row starts with, figures) of the table of a GPU."""
    benchmark, accuracy = RESNET50["benchmark"], EFFICIENTNET["accuracy"]
    over_pytorch, over_fp16_pytorch = (
        [benchmark["best_throughput_ratios"][precision][subject] for precision in ("fp16", "int8")]
        for subject in (PYTORCH, PYTORCH_FP16)
    )
    single = benchmark["ratios"]["fp16"]["1"]
    best = [benchmark["best_throughput"][subject]["inferences_per_s"] for subject in ("pytorch", "fp16", "int8")]
    texts = [TEXT["benchmark"]["best_throughput"][name]["inferences_per_s"] for name in (PYTORCH, PYTORCH_FP16, "fp16")]
    load_test = SERVED_RESNET50["load_test"]["measurements"]
    served = {row["precision"]: row for row in load_test if row["concurrency"] == 64}
    top1 = [accuracy["fp16"]["photographs"]["pytorch"]["top1"]]
    top1 += [accuracy[precision]["photographs"]["engine"]["top1"] for precision in ("fp16", "int8")]
    spent = RETRAINING["seconds"]
    return [
        (
            "FP16 latency in a CUDA graph",
            listed([single[subject]["p50"]["gpu_graph"] for subject in (PYTORCH, PYTORCH_FP16)], ".2f"),
        ),
        ("images/s over PyTorch's", listed(over_pytorch, ".1f")),
        ("images/s over those of PyTorch in FP16", listed(over_fp16_pytorch, ".1f")),
        ("images/s: PyTorch", listed(best, ",.0f")),
        ("engine's size", listed(benchmark["bytes_over_fp32_onnx"].values(), ".2f")),
        ("sequences/s of a text model", listed(texts, ",.0f")),
        ("requests/s of one image", listed([served[name]["throughput_per_s"] for name in ("fp16", "int8")], ",.0f")),
        ("their p99", listed([served[name]["p99_ms"] for name in ("fp16", "int8")], ".0f", " ms")),
        ("pretrained EfficientNet-Lite0", listed([100 * share for share in top1], ".1f", " %")),
        ("new weights", listed([spent[name] for name in ("cold", "timing_cache", "refit")], ".0f") + " s"),
    ]


def in_rounds():
    """Return (words that a row starts with, figures) of the table of a GPU that was measured in rounds."""
    benchmark = IN_ROUNDS["benchmark"]
    best = [each["inferences_per_s"] for each in benchmark["best_throughput"].values()]
    ratios = [benchmark["ratios"]["int8"][size][PYTORCH]["intervals"]["throughput"] for size in ("32", "128")]
    assert all(ratio["verdict"] == "steady" for ratio in ratios)
    return [
        ("images/s in rounds", listed(best, ",.0f")),
        ("INT8 over PyTorch in rounds", ", ".join(map(with_interval, ratios))),
    ]


def on_a_cpu():
    """Return (words that a row starts with, figures) of the table of a CPU."""
    seconds, served = ON_CPU["seconds"], ON_CPU["served_to_engine_alone"]["median_ratio_by_requests_in_flight"]
    planned = {
        point["combinations"]: point["median_seconds"]
        for point in PLANNING["growth"]["points"]
        if point["combinations"] in (1, 10, 100, 300)
    }
    over_empty = PLANNING["against_an_empty_workflow"]["ratio_to_empty"]["deploy_with_nothing_to_do"]
    return [
        ("`make deploy`", f"{seconds['first_deploy']:.0f} s"),
        ("`snakemake deploy` with nothing", f"{median(seconds['deploy_with_nothing_to_do']):.1f} s"),
        ("`snakemake deploy` after", f"{seconds['deploy_after_the_server_died']:.0f} s"),
        ("the same for a tiny model", f"{over_empty:.1f}"),
        ("a dry run", listed(planned.values(), ".1f") + " s"),
        ("latency of the FP32 engine", f"{ON_CPU['p50_ratio_engine_to_pytorch']['fp32']['1']:.2f}"),
        ("requests/s through Triton", listed(served.values(), ".2f")),
    ]


def with_interval(ratio):
    """Return a ratio and its interval, as the benchmark prints it."""
    return "{median:.2f} ({low:.2f} to {high:.2f})".format(**ratio)


def listed(values, form, unit=""):
    """Return figures beside each other, as the tables have them."""
    return ", ".join(f"{value:{form}}{unit}" for value in values)


@pytest.mark.parametrize(("words", "figures"), [*on_a_gpu(), *in_rounds(), *on_a_cpu()])
def test_a_row_has_the_figures_of_its_record(words, figures):
    [row] = [line for line in ALL if line.startswith(f"| {words}")]
    assert row.split("|")[-2].strip() == figures


def test_figures_of_a_disturbed_benchmark_are_called_so():
    records = [ON_CPU, RESNET50, EFFICIENTNET, TEXT]
    disturbed = [words for record in records for words in record.get("benchmark", {}).get("disturbed", [])]
    assert not disturbed or any("disturbed" in line for line in ALL)


def test_readme_has_rows_of_that_table_as_they_are():
    start = README.index("| | |")
    rows = README[start + 2 : README.index("", start)]
    assert len(rows) >= 3
    assert set(rows) <= set(ALL)


def test_the_first_page_stays_short():
    assert len(README) <= 200
