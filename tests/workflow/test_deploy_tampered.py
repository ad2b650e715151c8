"""A stored version that was edited: it is not served, not even by a rollback, and the live one serves on."""

import shutil

import psutil
import pytest
from helpers.artifacts.deployed import STORE, deploy, receipt, serving
from helpers.artifacts.published import key_pair
from helpers.artifacts.training import RESULTS
from helpers.traffic import Traffic

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.local.installation import local_installation
from slipway.deploy.local.switching import load_again
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.repository.signing import sign
from slipway.triton.server.server_options import ServerChoice

pytestmark = pytest.mark.slow


def flip_a_bit(path):
    """Flip one bit of a weight in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def append(path):
    """Append a line, to a file that may not be there."""
    with path.open("a", encoding="utf-8") as file:
        file.write("# edited\n")


def edit_with_index(path):
    """Change a file of the version and its index, so that they fit."""
    append(path)
    index = path.parents[3] / "published" / "tiny" / "1" / "index.json"
    said = read_json(index)
    write_json(index, said | {"files": said["files"] | {"1/model.py": sha256(path)}})


# How the version that was live before is tampered with in the store, and which file of it.
TAMPERING = [
    ("models/tiny/1/model.bin", flip_a_bit),
    ("models/tiny/1/model.py", append),
    ("models/tiny/1/model.py", edit_with_index),
    ("models/tiny/1/extra.py", append),
    ("published/tiny/1/labels.txt", append),
    ("published/tiny/1/configs/python.pbtxt", append),
    ("published/tiny/1/reference_outputs.npz", flip_a_bit),
    ("published/tiny/1/index.json", append),
]


def test_a_version_that_was_tampered_with_is_not_rolled_back_to_and_the_live_one_serves_on(place, trainings):
    for training in trainings[:2]:
        deploy(place, training).succeeded()
    before, store = receipt(place), place.path(STORE)
    with Traffic(place.served_at, trainings[1].input) as traffic:
        for file, tamper in TAMPERING:
            shutil.copytree(store / "models", store / "kept" / "models")
            shutil.copytree(store / "published", store / "kept" / "published")
            tamper(store / file)
            place.program_here("rollback", "--results", RESULTS).refused(
                "version 1 of tiny",
                "is not what was proven",
                file,
                "the live version serves on",
                "snakemake --cores 1 deploy",
            )
            for name in ("models", "published"):
                shutil.rmtree(store / name)
                (store / "kept" / name).rename(store / name)
    assert not traffic.lost
    assert traffic.orders(trainings) == [[1]] * 3
    assert receipt(place) == before
    place.program_here("rollback", "--results", RESULTS).succeeded()
    assert receipt(place)["number"] == 1


def test_going_back_leaves_what_is_loaded_and_loads_nothing_that_was_tampered_with(place, trainings):
    for training in trainings[:2]:
        deploy(place, training).succeeded()
    state = place.path(STORE)
    key = read_json(trainings[0].index)["engine_key"]
    found = local_installation([key], state, ServerChoice("wheel"), None, 60)
    ports = Ports.of(receipt(place)["contents"]["server"]["listening"])
    for number in (1, 2):
        append(state / f"models/tiny/{number}/model.py")
    load_again(found, {"tiny": 2}, ports)
    assert serving(place, trainings) == 1
    with pytest.raises(SlipwayError, match=r"version 1 of tiny .* is not what was proven"):
        load_again(found, {"tiny": 1}, ports)
    with pytest.raises(SlipwayError):
        serving(place, trainings)


@pytest.mark.long
def test_a_version_without_the_signature_of_the_key_is_not_rolled_back_to(place, trainings, tmp_path):
    (tmp_path / "keys").mkdir()
    private, public = key_pair(tmp_path / "keys")
    _, other = key_pair(tmp_path / "keys", "other")
    deploy(place, trainings[0]).succeeded()
    for training in trainings[1:3]:
        sign(training.folder.parent, private, training.signature)
    deploy(place, trainings[1], "--public-key", public).succeeded()
    rollback = ("--results", RESULTS, "--public-key")
    place.program_here("rollback", *rollback, public).refused("version 1 of tiny is not served", "is not signed")
    deploy(place, trainings[2], "--public-key", public).succeeded()
    place.program_here("rollback", *rollback, other).refused("version 2 of tiny is not served", "another key")
    assert receipt(place)["number"] == 3
    place.program_here("rollback", *rollback, public).succeeded()
    assert receipt(place)["number"] == 2


def test_what_was_tampered_with_is_put_right_from_the_repository_when_a_server_that_died_is_started_again(
    place, trainings
):
    deploy(place, trainings[0]).succeeded()
    before = {file: sha256(place.path(STORE) / file) for file in SERVED_FILES}
    for file in SERVED_FILES:
        append(place.path(STORE) / file)
    psutil.Process(receipt(place)["contents"]["server"]["pid"]).kill()
    said = deploy(place, trainings[0]).succeeded().said
    assert "was changed (edited: models/tiny/1/model.py" in said
    assert {file: sha256(place.path(STORE) / file) for file in SERVED_FILES} == before
    with ModelClient(place.served_at, "tiny") as client:
        assert trainings[0].gave(client.infer({"input": trainings[0].input}).outputs["logits"])


# What Triton reads, and what that is taken from.
SERVED_FILES = [
    "models/tiny/1/model.py",
    "models/tiny/configs/python.pbtxt",
    "models/tiny/labels.txt",
    "published/tiny/1/configs/python.pbtxt",
    "published/tiny/1/labels.txt",
]
