"""The figures of the tables in README.md and docs/measurements/README.md, from the records of measurements."""

from collections.abc import Iterable
from pathlib import Path
from statistics import median

from slipway.benchmark.comparison import PYTORCH, PYTORCH_FP16
from slipway.core.artifacts import read_json
from slipway.tools.cpu_precisions import PRECISIONS

Row = tuple[str, str]  # (words, or the words that a row begins with; its figures)
BASELINES = (PYTORCH, PYTORCH_FP16)
H200 = Path("h200") / "resnet50.int8.json"
# {model of cpu.json: its name in words}
NAMES = {"resnet50": "ResNet-50", "efficientnet_lite0": "EfficientNet-Lite0"}


def on_a_gpu(folder: Path) -> list[Row]:
    """Return the rows of an H100. `folder` has the records."""
    benchmark = read_json(folder / "h100" / "resnet50.json")["benchmark"]
    accuracy = read_json(folder / "h100" / "efficientnet_lite0.json")["accuracy"]
    text = read_json(folder / "h100" / "text.json")["benchmark"]["best_throughput"]
    load_test = read_json(folder / "h100" / "resnet50.tensorrt-8.5.json")["load_test"]["measurements"]
    spent = read_json(folder / "h100" / "resnet50.retraining.json")["seconds"]
    over_pytorch, over_fp16_pytorch = (
        [benchmark["best_throughput_ratios"][precision][subject] for precision in ("fp16", "int8")]
        for subject in BASELINES
    )
    single = benchmark["ratios"]["fp16"]["1"]
    best = [benchmark["best_throughput"][subject]["inferences_per_s"] for subject in (PYTORCH, "fp16", "int8")]
    texts = [text[name]["inferences_per_s"] for name in (*BASELINES, "fp16")]
    served = {row["precision"]: row for row in load_test if row["concurrency"] == 64}
    top1 = [accuracy["fp16"]["photographs"]["pytorch"]["top1"]]
    top1 += [accuracy[precision]["photographs"]["engine"]["top1"] for precision in ("fp16", "int8")]
    return [
        (
            "FP16 latency in a CUDA graph",
            listed([single[subject]["p50"]["gpu_graph"] for subject in BASELINES], ".2f"),
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


def on_an_h200(folder: Path) -> list[Row]:
    """Return the rows of an H200, whose benchmark has intervals, with all their words. `folder` has the records."""
    record = read_json(folder / H200)
    benchmark = record["benchmark"]
    best = [benchmark["best_throughput"][name]["inferences_per_s"] for name in (*BASELINES, "fp16", "int8")]
    ratios = {size: beside[PYTORCH]["intervals"]["throughput"] for size, beside in benchmark["ratios"]["int8"].items()}
    steady = {size: ratio for size, ratio in ratios.items() if ratio["verdict"] == "steady"}
    graphs = {each["subject"]: each["latency"].get("gpu_graph") for each in benchmark["results"] if each["batch"] == 1}
    in_graphs = [graphs[name]["p50_ms"] for name in ("fp16", "int8") if graphs.get(name)]
    rows = [
        (
            "images/s, each at its best batch: PyTorch, PyTorch in FP16 in a CUDA graph, FP16, INT8",
            listed(best, ",.0f"),
        ),
        (
            f"INT8's images/s over PyTorch's, with the interval: {', '.join(f'batch {size}' for size in steady)}",
            ", ".join(map(with_interval, steady.values())),
        ),
        ("latency at batch 1 in a CUDA graph: FP16, INT8", listed(in_graphs, ".2f", " ms")),
    ]
    return rows + (served_on_a_gpu(record) if "load_test" in record else [])


def served_on_a_gpu(record: dict) -> list[Row]:
    """Return the rows of the load test of a GPU: the closed loop, and the capacity if there is a choice."""
    measured = record["load_test"]["measurements"]
    rows = [
        max(each, key=lambda row: row["throughput_per_s"])
        for precision in ("fp16", "int8")
        if (each := [row for row in measured if row["precision"] == precision])
    ]
    in_flight = listed(sorted({row["concurrency"] for row in rows}), "d")
    names = ", ".join(row["precision"].upper() for row in rows)
    words = f"requests/s of one image through Triton's Python backend, {in_flight} in flight: {names}"
    p99 = listed([row["p99_ms"] for row in rows], ".0f", " ms")
    closed = [(words, listed([row["throughput_per_s"] for row in rows], ",.0f")), ("their p99", p99)]
    return closed + (open_loop(record["selection"]) if "selection" in record else [])


def open_loop(selection: dict) -> list[Row]:
    """Return the row of the capacity of the chosen configuration; none if it was not measured."""
    if not selection["capacity"]:
        return []
    capacity, limit = selection["capacity"], selection["limits"]["p99_ms"]
    words = (
        f"requests/s at random times (open loop) that {selection['precision'].upper()} holds, p99 below {limit:,.0f} ms"
    )
    rate = f"{capacity['capacity_per_s']:,.0f}" if capacity["capacity_per_s"] else "none"
    return [(words, f"{rate} ({capacity['verdict']})")]


def h200_in_words(folder: Path) -> str:
    """Return the GPU and the TensorRT of the H200's record in words."""
    record = read_json(folder / H200)
    gpu, versions = record["benchmark"]["environment"]["gpu"]["name"], record["engines"]["int8"]["versions"]
    steps = ", ".join(record.get("incomplete", [])).replace("_", " ")
    missing = f"; without {steps}" if steps else ""
    return f"One {gpu}, TensorRT {versions['tensorrt']}, ResNet-50 with `uint8` input, random weights{missing}"


def on_a_cpu(folder: Path) -> list[Row]:
    """Return the rows of a CPU, with all their words. `folder` has the records."""
    record, planning = read_json(folder / "cpu.json"), read_json(folder / "planning.json")
    seconds, served = record["seconds"], record["served_to_engine_alone"]["median_ratio_by_requests_in_flight"]
    sizes = (1, 10, 100, 300)
    points = {point["combinations"]: point["median_seconds"] for point in planning["growth"]["points"]}
    over_empty = planning["against_an_empty_workflow"]["ratio_to_empty"]["deploy_with_nothing_to_do"]
    killed = "`snakemake deploy` after the server was killed: it starts again, nothing is rebuilt"
    empty = "`snakemake deploy` of a tiny model with nothing to do, over what Snakemake takes for an empty workflow"
    return [
        ("`make deploy` after the installation", f"{seconds['first_deploy']:.0f} s"),
        ("`snakemake deploy` with nothing to do", f"{median(seconds['deploy_with_nothing_to_do']):.1f} s"),
        (killed, f"{seconds['deploy_after_the_server_died']:.0f} s"),
        (f"{empty} ([`planning.json`](planning.json), `make measure-planning`)", f"{over_empty:.1f}"),
        (
            f"a dry run of {listed(sizes, 'd')} engines (model x target x precision)",
            listed([points[size] for size in sizes], ".1f") + " s",
        ),
        (
            f"requests/s through Triton over those of the engine called directly: {', '.join(served)} in flight",
            listed(served.values(), ".2f"),
        ),
        *(row for model, figures in record["models"].items() for row in of_a_model(title_of(model, figures), figures)),
    ]


def title_of(model: str, figures: dict) -> str:
    """Return the name of a model of cpu.json, with the kind of its weights."""
    return f"{NAMES[model]}, {'random' if figures['origin'] == 'rehearsal' else 'pretrained'} weights"


def of_a_model(title: str, figures: dict) -> list[Row]:
    """Return the rows of one model on a CPU: alone, in turns with PyTorch, and served."""
    benchmark = figures["benchmark"]
    ratios, best = benchmark["p50_ratio_engine_to_pytorch"], benchmark["best_throughput"]
    precisions = ", ".join(ratios).upper()
    rows = [
        (
            f"{title}: latency at batch 1 over PyTorch's in the same job: {precisions}",
            listed([by_batch["1"] for by_batch in ratios.values()], ".2f"),
        ),
        (
            f"{title}: images/s, each at its best batch: PyTorch, {precisions}",
            listed([best[name]["inferences_per_s"] for name in (PYTORCH, *ratios)], ",.1f"),
        ),
    ]
    return rows + (served_rows(title, figures) if "chosen" in figures else [])


def served_rows(title: str, figures: dict) -> list[Row]:
    """Return the rows of one model behind Triton: each precision in a closed loop, the chosen one in an open loop."""
    rates: dict[str, float] = {}
    for row in figures["closed_loop"]:
        rates[row["precision"]] = max(rates.get(row["precision"], 0), row["throughput_per_s"])
    rates = {name: rates[name] for name in PRECISIONS if name in rates}
    in_flight = listed(sorted({row["concurrency"] for row in figures["closed_loop"]}), "d")
    chosen = figures["chosen"]
    words = f"{title}: requests/s through Triton, {in_flight} in flight: {', '.join(rates).upper()}"
    rows = [(words, listed(rates.values(), ",.1f"))]
    selection = {"capacity": chosen["open_loop"], "limits": {"p99_ms": chosen["p99_limit_ms"]}}
    selection |= {"precision": chosen["configuration"]["precision"]}
    return rows + [(f"{title}: {words}", rate) for words, rate in open_loop(selection)]


def machine_in_words(folder: Path) -> str:
    """Return the CPU of cpu.json in words."""
    cpu = read_json(folder / "cpu.json")["cpu"]
    return f"{cpu['cores']} cores of an {cpu['name']} ({', '.join(cpu['instruction_sets'])})"


def disturbed_in_words(benchmarks: dict[str, dict]) -> str:
    """Return a sentence about the disturbed measurements of {name: benchmark}; "" if nothing was disturbed."""
    words = [f"{name} ({', '.join(each['disturbed'])})" for name, each in benchmarks.items() if each.get("disturbed")]
    return f"Disturbed by other work: {'; '.join(words)}." if words else ""


def with_interval(ratio: dict) -> str:
    """Return a ratio and its interval, as the benchmark prints it."""
    return "{median:.2f} ({low:.2f} to {high:.2f})".format(**ratio)


def listed(values: Iterable[float], form: str, unit: str = "") -> str:
    """Return figures beside each other, as the tables have them."""
    return ", ".join(f"{value:{form}}{unit}" for value in values)
