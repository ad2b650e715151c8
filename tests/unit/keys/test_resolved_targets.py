"""Which runtimes, precisions and hardware are taken for its targets."""

import dataclasses
from pathlib import Path

import pytest
from helpers.artifacts.configured import ARM_WITH_BF16, WITH_BF16, WITHOUT_BF16, job_keys, refusal, resolved

from slipway.core import hardware
from slipway.core.errors import SlipwayError
from slipway.keys.code_hash import runtime_files
from slipway.keys.config_schema import schema
from slipway.keys.notices import notices
from slipway.load_test.analyzed_points import LEAST_S
from slipway.runtimes import RUNTIMES

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.mark.parametrize("identity", [WITH_BF16, ARM_WITH_BF16])
def test_auto_takes_bf16_where_the_hardware_has_it(identity):
    assert resolved({"cpu": {"hardware": identity}}).precisions("cpu") == ["fp32", "bf16"]


@pytest.mark.parametrize("identity", [WITHOUT_BF16, "a CPU without brackets", "A CPU [] x2"])
def test_auto_leaves_bf16_where_the_hardware_has_none(identity):
    assert resolved({"cpu": {"hardware": identity}}).precisions("cpu") == ["fp32"]


def test_auto_takes_only_what_the_runtime_builds():
    assert resolved({"cpu": {"hardware": WITH_BF16, "runtime": "onnxruntime"}}).precisions("cpu") == ["fp32"]


def test_a_list_is_taken_as_it_is():
    assert resolved({"cpu": {"hardware": WITH_BF16, "precisions": ["bf16"]}}).precisions("cpu") == ["bf16"]


def test_bf16_on_hardware_without_it_is_refused():
    message = refusal(old={"hardware": WITHOUT_BF16, "precisions": ["fp32", "bf16"]})
    assert "`targets.old.precisions`" in message
    assert WITHOUT_BF16 in message
    assert "fp32" in message


def test_bf16_in_onnxruntime_is_refused():
    message = refusal(cpu={"hardware": WITH_BF16, "runtime": "onnxruntime", "precisions": ["bf16"]})
    assert "`targets.cpu.precisions`" in message
    assert "onnxruntime builds only fp32" in message


def test_a_second_target_is_checked_too():
    good = {"hardware": WITH_BF16, "precisions": ["bf16"]}
    assert "`targets.old.precisions`" in refusal(new=good, old={"hardware": WITHOUT_BF16, "precisions": ["bf16"]})


def test_auto_hardware_is_this_machine():
    assert resolved({"cpu": {}}).hardware("cpu") == hardware.cpu_identity()


def test_declared_hardware_is_taken_as_it_is():
    assert resolved().hardware("cpu") == WITH_BF16


TWO = {
    "a": {"hardware": WITH_BF16, "runtime": "openvino"},
    "b": {"hardware": WITHOUT_BF16, "runtime": "onnxruntime"},
    "c": {"hardware": WITHOUT_BF16},
}


def test_targets_of_a_runtime():
    found = resolved(TWO)
    assert found.targets_of("openvino") == ["a", "c"]
    assert found.targets_of("onnxruntime") == ["b"]
    assert resolved().targets_of("onnxruntime") == []


def test_all_precisions_are_those_of_any_target_once():
    assert resolved(TWO).all_precisions() == ["fp32", "bf16"]
    assert resolved({"b": TWO["b"], "c": TWO["c"]}).all_precisions() == ["fp32"]


def test_the_first_target_is_deployed_unless_another_is_named():
    assert resolved(TWO).deployed_target == "a"
    assert resolved(TWO, deploy={"target": "c"}).deployed_target == "c"


def test_alerts_hold_servers_to_the_load_tests_of_the_targets_that_serve():
    fleet = {"fleet": ["b", "c"]}
    assert resolved(TWO, deploy=fleet).monitored_targets == ["a"], "served on this machine"
    assert resolved(TWO, deploy={**fleet, "to": "kubernetes"}).monitored_targets == ["b", "c"]


def test_every_runtime_that_may_be_configured_is_known_and_has_a_module():
    target = schema()["$defs"]["target"]["properties"]
    assert set(target["runtime"]["enum"]) - {"auto"} == set(RUNTIMES)
    assert all(file.is_file() for name in RUNTIMES for file in runtime_files(name))


def test_the_opset_is_one_that_every_runtime_reads(monkeypatch):
    for name, opset in {"openvino": 17, "onnxruntime": 19}.items():
        monkeypatch.setitem(RUNTIMES, name, dataclasses.replace(RUNTIMES[name], newest_opset=opset))
    assert job_keys(TWO).export_onnx("m")["opset"] == 17
    assert job_keys({"b": TWO["b"]}).export_onnx("m")["opset"] == 19


def test_notices_are_about_auto_alone():
    told = notices(resolved(TWO))
    assert [notice.split(":")[0] for notice in told] == ["target c"]


def test_a_load_test_with_little_time_for_its_many_points_is_told_while_planning():
    """Two precisions x three instances x two batch sizes x three numbers in flight, without idle instances."""
    settings = {"concurrency": [1, 2, 4], "instances": [1, 2, 4], "max_batch_sizes": [4, 8], "requests": 30}
    targets = {"c": {"runtime": "openvino", "precisions": ["fp32", "bf16"], "hardware": WITH_BF16}}

    def told(minutes):
        return list(notices(resolved(targets, load_test=settings | {"minutes": minutes})))

    assert told(2.4) == told(None) == []
    [notice] = told(1.2)
    assert notice.startswith("target c: `load_test.minutes: 1.2` is 3 s for each of 24 points; perf_analyzer ")
    assert "set `load_test.minutes: 2.4`, or fewer values in `load_test.concurrency`," in notice


def test_the_least_minutes_are_those_of_one_point():
    minutes = schema()["properties"]["load_test"]["properties"]["minutes"]
    assert 60 * minutes["minimum"] == LEAST_S


def test_class_folders_that_match_no_label_are_told_while_planning():
    for name in ("cats", "dogs"):
        Path("photographs", name).mkdir(parents=True)
        Path("photographs", name, "0_a.jpg").touch()
    Path("labels.txt").write_text("dog\ncat\n", encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"config: `models\.m\.labels`: .*cats \(nearest: cat\).* match no label"):
        resolved(models={"m": {"labels": "labels.txt"}}, accuracy={"labelled": "photographs"})
    Path("labels.txt").write_text('{"dogs": 1, "cats": 0}', encoding="utf-8")
    resolved(models={"m": {"labels": "labels.txt"}}, accuracy={"labelled": "photographs"})


def test_a_label_file_that_cannot_be_read_is_told_while_planning():
    Path("labels.json").write_text('{"dogs": 1, "cats": 2}', encoding="utf-8")
    with pytest.raises(SlipwayError, match=r"config: `models\.m\.labels`: labels\.json is neither"):
        resolved(models={"m": {"labels": "labels.json"}})


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"image": "folder"}, "`image` is 'folder', which is a folder; correct `image`"),
        ({"models": {"m": {"weights": "folder.pth"}}}, "`models.m.weights` is 'folder.pth', which is a folder"),
        ({"models": {"m": {"labels": "none.txt"}}}, "`models.m.labels` is 'none.txt', which does not exist"),
        ({"accuracy": {"labelled": "photo.jpg"}}, "`accuracy.labelled`: image folder photo.jpg is a file"),
        ({"calibration": {"images": "folder"}}, "`calibration.images`: image folder folder holds no image"),
    ],
)
def test_a_file_that_is_a_folder_and_a_folder_that_holds_nothing_are_told(named, words):
    for folder in ("folder", "folder.pth"):
        Path(folder).mkdir()
    Path("photo.jpg").touch()
    with pytest.raises(SlipwayError) as caught:
        resolved(**named)
    assert words in str(caught.value)


@pytest.mark.parametrize("registry", ["nvcr.io/nvidia", "registry.example:5000/copies"])
def test_an_image_whose_tag_names_another_release_is_refused(registry):
    image = f"{registry}/tritonserver:25.01-py3@sha256:{64 * '0'}"
    with pytest.raises(SlipwayError, match=r"has Triton 25\.01, and `triton\.release` is 26\.07; correct"):
        resolved(triton={"release": "26.07", "image": image})
    resolved(triton={"release": "25.01", "image": image})
    resolved(triton={"release": "26.07", "image": "mine/my-tritonserver:25.01"})
