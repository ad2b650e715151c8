"""Results that are lost, copied, edited or damaged: what is found, and what is made again."""

import base64
import json
import os
import random
import re
import shutil

import pytest
from helpers.made_clone import AFTER_CHOICE, AFTER_CPU_ENGINE, AFTER_WEIGHTS, MADE, NOTHING, planned
from helpers.workplace import WEIGHTS, random_checkpoint

from slipway.core.artifacts import sha256

pytestmark = pytest.mark.slow

ENGINE = "results/tiny/cpu/tiny.fp32.openvino.bin"


@pytest.fixture
def place(made, tmp_path):
    """Return a copy of the clone elsewhere, with all times kept."""
    return made.copied(tmp_path / "moved")


def test_a_lost_snakemake_folder_is_not_missed_when_weights_are_new(place):
    shutil.rmtree(place.path(".snakemake"))
    random_checkpoint(place.path("good.pth"), seed=2)
    assert planned(place)[0] == {"fetch_weights": 1, **AFTER_WEIGHTS}


def test_results_copied_to_a_second_machine(made, tmp_path):
    """Nothing but the sources and results/ goes there, and the copy's times come in any order."""
    second = made.copied(tmp_path / "second")
    shutil.rmtree(second.path(".snakemake"))
    shutil.rmtree(second.path("logs"))
    files = [path for path in second.path("results").rglob("*") if path.is_file()]
    for age, path in enumerate(random.Random(0).sample(files, len(files))):
        os.utime(path, (1.7e9 - age, 1.7e9 - age))
    assert planned(second)[0] == NOTHING


def test_an_edited_or_truncated_artifact_is_found_and_made_again(place):
    engine = place.path(ENGINE)
    whole, made = engine.read_bytes(), sha256(engine)
    for damaged in (whole[:-7], whole[:-1] + b"?"):
        engine.write_bytes(damaged)
        jobs, said = planned(place)
        assert jobs == {"build_openvino": 1, **AFTER_CPU_ENGINE}
        assert re.search(rf"Reason: {ENGINE} {made[:8]}\.\. -> [0-9a-f]{{8}}\.\., edited or truncated", said)
    place.snakemake("results/tiny/cpu/tiny.fp32.engine.json").succeeded()
    assert sha256(engine) == made


def flipped_in_silence(path):
    """Change one bit of a file, and keep its size and the time of its last change."""
    content, before = bytearray(path.read_bytes()), path.stat()
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_flipped_bit_is_found_in_every_artifact_though_its_time_was_kept(place):
    """Also in each file of the repository, whose folder's own time stays."""
    recorded = json.loads(place.path("results/.provenance/artifacts.json").read_text())
    files = [name for name in recorded if place.path(name).is_file() and place.path(name).stat().st_size]
    folder = "results/tiny/cpu/repository/tiny_trt"
    assert folder in recorded
    within = [path for path in place.path(folder).rglob("*") if path.is_file() and path.name != ".snakemake_timestamp"]
    assert len(files) > 14
    assert len(within) >= 5
    for path in [*map(place.path, files), *within]:
        flipped_in_silence(path)
    said = place.snakemake("-n", "preflight", *MADE).succeeded().said
    assert [name for name in [*files, folder] if f"{name} " not in said] == []
    for path in [*map(place.path, files), *within[1:]]:
        flipped_in_silence(path)
    assert planned(place)[0] == {"write_repository": 1}


def test_an_artifact_that_was_put_back_is_left_alone(place):
    weights = place.path(WEIGHTS)
    content = weights.read_bytes()
    weights.write_bytes(b"nonsense")
    assert planned(place)[0]["fetch_weights"] == 1
    weights.write_bytes(content)
    assert planned(place)[0] == NOTHING


def test_what_a_failed_run_left_is_made_again_and_the_plan_says_so(place):
    mark = place.path("results/.provenance/incomplete") / base64.urlsafe_b64encode(ENGINE.encode()).decode()
    mark.parent.mkdir(exist_ok=True)
    mark.write_text('{"external_jobid": null}')
    jobs, said = planned(place)
    assert jobs == {"build_openvino": 1, **AFTER_CPU_ENGINE}
    assert f"Reason: {ENGINE} left by a run that failed or was killed" in said


def test_a_record_edited_by_hand_is_made_again(place):
    record = place.path("results/tiny/cpu/selection.json")
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {"instances": 7}))
    jobs, _ = planned(place)
    assert jobs == AFTER_CHOICE
