import json

import pytest

from slipway.keys.job_key import JobKey
from slipway.snakemake_hooks.rerun_reasons import of_content, of_rollback, of_settings

UNCHANGED = "the same settings, in another order or notation"
ONE, TWO = "3f2a" * 16, "9c41" * 16


def words(before, now):
    """Return the words for a job whose settings changed; another param of it stayed."""
    return of_settings([repr(JobKey(before)), "'same'"], [repr(JobKey(now)), "'same'"])


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (
            {"runtime": "tensorrt", "runtime_version": "10.13.3.9"},
            {"runtime": "tensorrt", "runtime_version": "11.1.0.106"},
            "TensorRT 10.13.3.9 -> 11.1.0.106",
        ),
        ({"checkpoint_sha256": ONE}, {"checkpoint_sha256": TWO}, "weights 3f2a3f2a.. -> 9c419c41.."),
        ({"code": {"scripts/a.py": "1"}}, {"code": {"scripts/a.py": "2"}}, "scripts/a.py edited"),
        ({"code": {}}, {"code": {"scripts/a.py": "2"}}, "scripts/a.py added"),
        ({"code": {"scripts/a.py": "1"}}, {"code": {}}, "scripts/a.py removed"),
        ({"batch_sizes": [1, 8]}, {"batch_sizes": [1, 16]}, "batch_sizes [1, 8] -> [1, 16]"),
        ({"labelled_sha256": None}, {"labelled_sha256": TWO}, "labelled photographs none -> 9c419c41.."),
        ({"builder": '{"tf32": false}'}, {"builder": '{"tf32": true}'}, "tf32 false -> true"),
        ({"builder": '{"a": 1, "b": 2}'}, {"builder": '{"b": 2, "a": 1}'}, UNCHANGED),
        ({"code": {"a.py": "1", "b.py": "2"}}, {"code": {"b.py": "2", "a.py": "1"}}, UNCHANGED),
        ({"tf32": 1}, {"tf32": True}, UNCHANGED),
        ({"serving_image": None}, {}, "image that serves removed, without a value"),
        ({}, {"widened": None}, "widened added, without a value"),
        ({"hardware": "L4"}, {"hardware": "H100"}, "hardware L4 -> H100"),
        ({"seconds": 4}, {}, "seconds 4 -> none"),
        ({"server_generation": 1}, {"server_generation": 2}, "the server has ended or does not answer: start 1 -> 2"),
        ({"publication": 1}, {"publication": 2}, "what was published is gone or damaged: publication 1 -> 2"),
        ({"signed_by": ONE}, {"signed_by": TWO}, "signing key 3f2a3f2a.. -> 9c419c41.."),
    ],
)
def test_a_change_is_told_in_words(before, now, said):
    assert words(before, now) == [said]


def test_every_change_is_told():
    assert words({"cuda": "cu12", "tf32": 0, "same": 1}, {"cuda": "cu13", "tf32": 1, "same": 1}) == [
        "CUDA cu12 -> cu13",
        "tf32 0 -> 1",
    ]


def test_params_that_are_no_settings_are_quoted():
    assert of_settings(["['a', 'b']"], ["['b', 'a']"]) == ["['a', 'b'] -> ['b', 'a']"]
    assert of_settings([], ["1"]) == ["nothing -> 1"]
    assert of_settings(["['a']", "1"], ["['b']", "2"]) == ["1, ['a'] -> 2, ['b']"]


def test_what_lists_lost_and_gained_is_named():
    assert of_settings(["['a', 'b']", "['b.sig']"], ["['a', 'c']", "['c.sig']"]) == [
        "b, b.sig left out",
        "c, c.sig added",
    ]


def test_content_is_told_by_both_hashes_snakemakes_prefix_left_out():
    assert of_content("weights.safetensors", f"sha256:{ONE}", TWO) == "weights.safetensors 3f2a3f2a.. -> 9c419c41.."


def test_a_rollback_is_no_edit(tmp_path):
    receipts = [tmp_path / name for name in ("a.json", "b.json", "cut.json", "list.json", "gone.json", "folder")]
    receipts[0].write_text(json.dumps({"served_as": "a_trt", "version": 1, "rolled_back_from": 2}))
    receipts[1].write_text(json.dumps({"served_as": "b_trt", "version": 1}))
    receipts[2].write_text('{"served_as": "c_trt", "rolled_back')
    receipts[3].write_text("[]")
    receipts[5].mkdir()
    assert of_rollback(map(str, receipts)) == ["a_trt was rolled back from version 2"]
