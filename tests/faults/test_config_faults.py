"""A wrong config.yaml is refused in one sentence before anything runs."""

import pytest
from helpers.workplace import REFERENCE, WEIGHTS, random_checkpoint
from PIL import Image

pytestmark = pytest.mark.slow

FAULTS = {
    "unknown_key": (
        "benchmark.secnods",
        3,
        ["`benchmark.secnods` is not a key", "allowed are batch_sizes, budget_seconds, min_samples"],
    ),
    "wrong_type": ("profile.steps", "many", ["`profile.steps` is 'many'", "must be a whole number at least 1"]),
    "unknown_architecture": ("models.tiny.architecture", "resnet51", ["`models.tiny.architecture` is 'resnet51'"]),
    "unknown_precision": ("targets.cpu.precisions", ["fp23"], ["`targets.cpu.precisions", "fp23", "fp32"]),
    "order": ("benchmark.batch_sizes", [8, 1], ["`benchmark.batch_sizes` is [8, 1]", "must ascend: [1, 8]"]),
}


@pytest.mark.parametrize(("key", "value", "phrases"), FAULTS.values(), ids=FAULTS.keys())
def test_wrong_configuration_is_refused_before_anything_runs(workplace, key, value, phrases):
    workplace.configure(key, value)

    outcome = workplace.snakemake(WEIGHTS).refused(*phrases)

    assert is_one_sentence(outcome), outcome.said
    assert not workplace.path("results").exists()
    assert not workplace.path("logs").exists()


UNREADABLE = {
    "in_utf_16": (lambda text: text.encode("utf-16"), "is not text in UTF-8"),
    "noise": (lambda text: bytes(range(256)), "is not text in UTF-8"),
    "with_a_broken_line": (lambda text: f"{text}\nimage: [\n".encode(), "is no valid YAML (line"),
    "with_itself_inside": (lambda text: f"{text}\nimage: &a [*a]\n".encode(), "contains itself"),
    "that_grows": (
        lambda text: (
            f"{text}\nx0: &x0 [1, 1]\n" + "".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 40))
        ).encode(),
        "values once its aliases",
    ),
}


@pytest.mark.parametrize(("changed", "phrase"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_cannot_be_read_is_told_in_one_sentence(workplace, changed, phrase):
    path = workplace.path("config.yaml")
    path.write_bytes(changed(path.read_text(encoding="utf-8")))

    outcome = workplace.snakemake("-n", WEIGHTS).refused(phrase)

    assert is_one_sentence(outcome), outcome.said


def test_manifests_without_a_release_are_refused_in_one_sentence(workplace):
    """For a GPU's engines, which only the Triton with their TensorRT loads."""
    random_checkpoint(workplace.path("good.pth"), seed=1)
    gpu = {"runtime": "tensorrt", "hardware": "NVIDIA L4 (compute capability 8.9)"}
    workplace.configure("targets", {"l4": gpu})
    workplace.configure("tensorrt", {"version": "10.13.3.9", "cuda": "cu13"})

    outcome = workplace.snakemake("-n", "manifests").refused("set `triton.release`")

    assert is_one_sentence(outcome), outcome.said


@pytest.mark.parametrize("name", ["results", "logs"])
def test_a_file_in_the_place_of_a_folder_is_told_in_one_sentence(workplace, name):
    random_checkpoint(workplace.path("good.pth"), seed=1)
    workplace.path(name).write_text("notes", encoding="utf-8")

    outcome = workplace.snakemake(WEIGHTS).refused(f"{name} is a file", "move it away")

    assert "Traceback" not in outcome.said
    assert workplace.path(name).read_text(encoding="utf-8") == "notes"


@pytest.mark.long
def test_files_whose_names_start_with_a_dash_are_files(workplace):
    random_checkpoint(workplace.path("-good.pth"), seed=1)
    Image.new("RGB", (96, 80), (200, 30, 30)).save(workplace.path("-photo.jpg"))
    workplace.path("--labels.txt").write_text("\n".join(f"name {n}" for n in range(1000)), encoding="utf-8")
    workplace.configure("models.tiny.weights", "-good.pth")
    workplace.configure("models.tiny.labels", "--labels.txt")
    workplace.configure("image", "-photo.jpg")

    workplace.snakemake(REFERENCE).succeeded()


def is_one_sentence(outcome):
    """Say whether one line tells what is wrong with the configuration, and nothing tells where the code is."""
    told = [line for line in outcome.said.splitlines() if line.startswith("config: ")]
    return len(told) == 1 and not any(word in outcome.said for word in ("Traceback", 'File "', "Error in", "Error:"))


def test_a_configuration_of_ones_own_stands_alone(workplace):
    """Neither the models nor the targets of config.yaml are in it, and without targets it is about this machine."""
    mine = workplace.path("elsewhere/mine.yaml")
    mine.parent.mkdir()
    mine.write_text("models: {own: {weights: good.pth, architecture: squeezenet1_1}}\n")
    random_checkpoint(workplace.path("good.pth"), seed=1)
    workplace.configure("targets", {"l4": {"runtime": "tensorrt"}})

    said = workplace.snakemake("-n", "--configfile", str(mine), "--", "evidence").succeeded().said

    assert "results/own/cpu/own.benchmark.json" in said
    assert "tiny" not in said
    assert "l4" not in said


def test_what_yaml_reads_otherwise_than_it_is_written_is_told_in_one_sentence(workplace):
    with workplace.path("config.yaml").open("a") as file:
        file.write("accuracy: {limits: {fp32: {max_relative_error: 1e-3}}}\n")

    outcome = workplace.snakemake("-n", WEIGHTS).refused(
        "`accuracy.limits.fp32.max_relative_error` in line",
        "is written 1e-3, which YAML reads as text; write 0.001",
    )

    assert is_one_sentence(outcome), outcome.said
