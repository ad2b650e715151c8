"""A clone of this repository in which a tiny model was made for this CPU and for a GPU that is not here."""

import re
import shutil

import numpy as np
import yaml
from PIL import Image

from helpers.workplace import REPOSITORY, Workplace, random_checkpoint, tiny_configuration

L4 = "NVIDIA L4 (compute capability 8.9)"
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
PHOTOGRAPHS = 8
MADE = [
    "results/tiny/profile/profile.json",
    "results/tiny/cpu/tiny.benchmark.json",
    "results/tiny/cpu/analysis/summary.pdf",
    "results/tiny/cpu/repository.json",
    *(f"results/tiny/l4/tiny.{precision}.engine.json" for precision in PRECISIONS),
]
# {rule: number of its jobs} that follow from a change.
RTX_ENGINES = {"build_tensorrt_rtx": 4}
AFTER_CPU_ENGINE = {
    **dict.fromkeys(("benchmark", "check_accuracy", "load_test", "render_load_test", "measure_capacity"), 1),
    **dict.fromkeys(("choose_configuration", "write_repository"), 1),
}
AFTER_ONNX = {"build_openvino": 1, **AFTER_CPU_ENGINE, "cast_onnx": 2, "quantize_onnx": 1, **RTX_ENGINES}
AFTER_WEIGHTS = {"make_contract": 1, "reference_outputs": 1, "profile_model": 1, "export_onnx": 1, **AFTER_ONNX}
# The reports of the load test show the choice.
AFTER_CHOICE = {"choose_configuration": 1, "render_load_test": 1, "write_repository": 1}
AFTER_REFERENCE = {"reference_outputs": 1, "check_accuracy": 1, **AFTER_CHOICE}
NOTHING = {}


def make(clone):
    """Carry a tiny model to a repository for this CPU, to engines for an L4, and through the preflight."""
    left_out = shutil.ignore_patterns(".*", "results", "logs", "docs", "tests", "__pycache__", "config.yaml")
    shutil.copytree(REPOSITORY, clone, ignore=left_out, dirs_exist_ok=True)
    config = tiny_configuration()
    config["models"]["tiny"]["input"] = "uint8"
    config["calibration"] = {"images": "pictures", "min_samples": PHOTOGRAPHS}
    config["targets"]["cpu"]["runtime"] = "openvino"
    config["targets"]["l4"] = {
        "runtime": "tensorrt_rtx",
        "hardware": L4,
        "precisions": list(PRECISIONS),
        "tensorrt": {},
    }
    config["triton"] = {"release": "25.09"}
    found = Workplace(clone, config, clone)
    random_checkpoint(found.path("good.pth"), seed=1)
    found.path("pictures").mkdir()
    for index in range(PHOTOGRAPHS):
        draw(found.path(f"pictures/{index}.png"), index)
    found.snakemake("preflight", *MADE).succeeded()


def there(clone):
    """Return the clone that lies in a folder."""
    return Workplace(clone, yaml.safe_load((clone / "config.yaml").read_text(encoding="utf-8")), clone)


def draw(path, seed):
    """Write a picture of smooth colour."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(path)


def planned(place):
    """Return {rule: number of jobs} that a dry run plans, and everything that it said."""
    said = place.snakemake("-n", *MADE).succeeded().said
    if "Nothing to be done" in said:
        return NOTHING, said
    table = said.partition("Job stats:")[2].partition("total")[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}, said
