"""What no configuration refers to is shown, and removed when told; what is live, needed, edited or a user's stays."""

from pathlib import Path

import pytest
import yaml
from helpers.artifacts.receipts import local_receipt

import prune
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.release_store import ReleaseStore
from slipway.keys.file_hash_cache import FileHashCache
from slipway.pruning.references import what_to_prune
from slipway.snakemake_hooks.artifact_stamps import read_stamps
from slipway.snakemake_hooks.layout import snakemake_record
from slipway.snakemake_hooks.records import ArtifactRecords, restore_record

# What is made of the model `a`, of which everything but the target `gone` and fp16 is configured, and of `old`.
REFERRED = [
    ".server/withdrawn",
    "a/weights.safetensors",
    "a/a.onnx",
    "a/profile/profile.json",
    "a/cpu/a.fp32.trt",
    "a/cpu/a.benchmark.json",
]
LEFT_OVER = [
    "a/a.fp16.onnx",
    "a/cpu/a.fp16.trt",
    "a/gone/a.fp32.trt",
    "old/weights.safetensors",
    "old/cpu/old.fp32.trt",
]
MEASURED = ["a/gone/a.benchmark.json", "old/cpu/analysis/analysis.csv"]
LOGS = [
    "logs/a/cpu/benchmark.log",
    "logs/a/gone/build_openvino.fp32.log",
    "logs/old/export_onnx.log",
    "logs/old/mine.log",
]
OPTIONS = "--models a --targets cpu --engines a/cpu/fp32 --variants a/fp32 --configurations config.yaml --remove"


@pytest.fixture
def results(in_an_empty_folder):
    """Return results/ of the models `a` and `old`, and of their logs."""
    Path("config.yaml").write_text(yaml.safe_dump({"models": {"a": {}}, "targets": {"cpu": {}}}))
    names = [f"results/{name}" for name in (*REFERRED, *LEFT_OVER, *MEASURED)]
    for name in [*names, *LOGS]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    ArtifactRecords(FileHashCache()).remember(names)
    restore_record(snakemake_record(Path("results/old/weights.safetensors")), {"endtime": 1.0})
    return Path("results")


def run(remove, capsys):
    prune.main(prune.parse_arguments([*OPTIONS.split(), remove]))
    return capsys.readouterr().err


def files():
    return {
        path.as_posix() for folder in ("results", "logs") for path in Path(folder).glob("[!.]*/**/*") if path.is_file()
    }


def paths(*names):
    return {f"results/{name}" for name in names}


def test_it_shows_with_sizes_and_removes_nothing_unless_told(results, capsys):
    before = files()
    said = run("no", capsys)
    assert files() == before
    for owner in ("the fp16 ONNX file of a", "the fp16 engine of a on cpu", "the target gone of a", "the model old"):
        assert f"MB  {owner} (" in said
    assert "kept     measurements of the model old; `--config prune=all` removes them, too" in said
    assert ".server" not in said, "it belongs to no model"
    assert "nothing was removed; `snakemake --cores 1 prune --config prune=yes` removes these" in said


def test_told_it_removes_what_is_left_over_with_its_records_and_then_nothing_is_left(results, capsys):
    before = files()
    assert "removed" in run("yes", capsys)
    assert before - files() == paths(*LEFT_OVER) | set(LOGS[1:3])
    assert not (read_stamps().keys() & paths(*LEFT_OVER))
    assert not snakemake_record(Path("results/old/weights.safetensors")).exists()
    run("all", capsys)
    assert before - files() == paths(*LEFT_OVER, *MEASURED) | set(LOGS[1:3])
    assert not Path("results/old").exists()
    assert Path(LOGS[3]).exists(), "no rule has such a log"
    assert "nothing is left over" in run("yes", capsys)


def test_what_was_edited_and_what_slipway_did_not_make_is_kept_and_named(results, capsys):
    Path("results/old/weights.safetensors").write_text("mine")
    Path("results/old/notes.txt").write_text("mine")
    said = run("all", capsys)
    assert {"results/old/weights.safetensors", "results/old/notes.txt"} <= files()
    assert "kept     results/old/weights.safetensors was edited since it was made" in said
    assert "kept     results/old/notes.txt: no job recorded making it" in said


def test_the_history_of_a_model_that_was_removed_is_kept_and_said_to_be(results, capsys):
    Path("results/old/history.jsonl").write_text("{}")
    said = run("all", capsys)
    assert paths("old/history.jsonl") <= files()
    assert "kept     results/old/history.jsonl: the history of old, which no command removes" in said
    assert "no job recorded making it" not in said


@pytest.mark.parametrize(
    ("former", "programs", "owner"), [("weights.safetensors", ["a"], "weights"), ("program", [], "program")]
)
def test_the_network_of_before_goes_when_a_model_changed_between_weights_and_a_program(
    results, capsys, former, programs, owner
):
    now = "program" if programs else "weights.safetensors"
    for name in ("program", "program.data"):
        (results / "a" / name).write_text(name)
    ArtifactRecords(FileHashCache()).remember([f"results/a/{name}" for name in ("program", "program.data")])
    prune.main(prune.parse_arguments([*OPTIONS.split(), "no", "--programs", *programs]))
    assert f"MB  the former {owner} of a ({1 if programs else 2}, such as" in capsys.readouterr().err
    Path("mine.yaml").write_text(yaml.safe_dump({"models": {"a": {}}, "targets": {"cpu": {}}}))
    prune.main(prune.parse_arguments([*OPTIONS.split(), "yes", "--programs", *programs]))
    assert paths(f"a/{former}", f"a/{now}") <= files(), "another configuration may have it so"
    Path("mine.yaml").unlink()
    prune.main(prune.parse_arguments([*OPTIONS.split(), "yes", "--programs", *programs]))
    assert files() & paths(f"a/{former}", f"a/{now}") == paths(f"a/{now}")


@pytest.mark.parametrize("platform", ["receipt.json", "receipt.kubernetes.json"])
def test_what_is_live_is_kept(results, capsys, platform):
    write_json(results / "old/deploy" / platform, local_receipt("old"))
    write_json(results / "a/deploy" / platform, local_receipt("a", target="gone"))
    said = run("all", capsys)
    assert paths("old/weights.safetensors", "a/gone/a.fp32.trt", f"old/deploy/{platform}") <= files()
    assert "kept     the model old: it is live (`snakemake --cores 1 undeploy_old` undeploys it)" in said
    (results / "a/deploy" / platform).write_text("damaged")
    run("all", capsys)
    assert paths("a/gone/a.fp32.trt") <= files()


def test_what_another_configuration_names_is_kept_and_said(results, capsys):
    Path("mine.yaml").write_text(yaml.safe_dump({"models": {"old": {}, "a": {}}, "targets": {"cpu": {}}}))
    said = run("all", capsys)
    assert files() & paths(*LEFT_OVER) == paths(*LEFT_OVER) - paths("a/gone/a.fp32.trt")
    assert "kept     the model old: mine.yaml names it" in said


def test_a_configuration_that_names_no_targets_may_have_any(results, capsys):
    Path("mine.yaml").write_text(yaml.safe_dump({"models": {"a": {}}}))
    run("all", capsys)
    assert paths("a/gone/a.fp32.trt", "a/a.fp16.onnx") <= files()
    assert paths("old/weights.safetensors") & files() == set()


def test_versions_to_which_a_rollback_goes_back_are_kept(results, capsys):
    store = ModelStore(results / ".server")
    for number in (1, 2):
        (store.models / f"old_trt/{number}").mkdir(parents=True)
        store.enter("old_trt", number, {})
    store.ledger.write(live=[{"old_trt": 2}, {"a_trt": 1}], models={"old_trt": {"model": "old", "targets": ["cpu"]}})
    write_json(results / "old/reference_outputs.json", {})
    ArtifactRecords(FileHashCache()).remember(["results/old/reference_outputs.json"])
    said = run("yes", capsys)
    assert "old_trt version 1, to which no rollback is possible" in said
    assert "kept     old_trt version 2: `rollback` may serve it again" in said
    assert "kept     reference_outputs.json of old" in said
    assert (store.versions("old_trt"), sorted(store.models.glob("old_trt/*"))) == ([2], [store.models / "old_trt/2"])


def test_stored_versions_of_a_cluster_go_with_their_model(results, capsys):
    for model in ("a", "old"):
        store = ReleaseStore(results / model, "kubernetes")
        (store.folder / "1").mkdir(parents=True)
        (store.folder / "1/reference_outputs.npz").write_text("x")
        store.enter(f"{model}_trt", 1, store.contents(f"{model}_trt", 1))
    assert "the versions of old for kubernetes" in run("yes", capsys)
    assert [path.parts[1] for path in sorted(results.glob("*/deploy/kubernetes/1"))] == ["a"]


def test_what_to_remove_is_said_in_one_of_three_ways():
    assert [what_to_prune(said) for said in ("yes", True, "no", False, "ALL")] == ["yes", "yes", "no", "no", "all"]
    with pytest.raises(SlipwayError, match=r"^--config prune=jes: it must be yes .*; nothing was removed$"):
        what_to_prune("jes")


def test_copies_of_weights_to_which_no_address_leads_go(results, capsys):
    for name in ("a", "old", "mine"):
        write_json(results / f".fetched/{name}/fetched.json", {"address": f"s3://bucket/{name}.pth"})
    Path("mine.yaml").write_text(yaml.safe_dump({"models": {"m": {"weights": "s3://bucket/mine.pth"}}}))
    prune.main(prune.parse_arguments([*OPTIONS.split(), "yes", "--weights", "s3://bucket/a.pth", "default"]))
    assert "copies of weights in storage" in capsys.readouterr().err
    assert {path.name for path in (results / ".fetched").iterdir()} == {"a", "mine"}


def test_timing_caches_of_targets_that_are_gone_go(results, capsys):
    for target in ("cpu", "gone"):
        (results / ".timing").mkdir(exist_ok=True)
        (results / f".timing/{target}.cache").write_text("x")
    assert "timing caches" in run("yes", capsys)
    assert [path.name for path in (results / ".timing").iterdir()] == ["cpu.cache"]


def test_kept_points_of_load_tests_go_with_their_engine(results, capsys):
    write_json(results / "a/cpu/a.fp32.engine.json", {"files": {"a.fp32.trt": "now"}})
    for name, engine in {"a/cpu/now": "now", "a/cpu/before": "before", "a/gone/x": "now", "old/cpu/x": "now"}.items():
        write_json(results / f".measured/{name}.json", {"engine": {"a.fp32.trt": engine}})
    (results / ".measured/a/cpu/damaged.json").write_text("{")

    def left():
        points = sorted((results / ".measured").glob("*/*/*.json"))
        return [path.relative_to(results / ".measured").as_posix() for path in points]

    assert "kept measurements of engines that are gone (2" in run("yes", capsys)
    # Those of a model or target that is gone are measurements, which `yes` leaves.
    assert left() == ["a/cpu/now.json", "a/gone/x.json", "old/cpu/x.json"]
    run("all", capsys)
    assert left() == ["a/cpu/now.json"]
