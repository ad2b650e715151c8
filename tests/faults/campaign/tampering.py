"""Tampering: with files of the live, the previous and the built version, with records and with signatures."""

import os
import shutil
from pathlib import Path

import numpy as np
from faults.campaign.disk import delete
from faults.campaign.fault import fault, faults
from faults.campaign.scene import LIVE, NEXT, PREVIOUS
from helpers.artifacts.published import key_pair

from slipway.contract.archives import read_arrays, write_arrays
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.triton.repository.signing import sign

REFUSED = "is not what was proven"


def flip(path):
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def keep_time(change):
    """Return the same change, after which size and time of the file are as before."""

    def changed(path):
        before = path.stat()
        change(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return changed


def negate(path):
    """Make an adapter answer the negative of everything."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\nimport numpy\nnumpy.copyto = numpy.negative\nraise SystemExit(3)\n", encoding="utf-8")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def link_out(path):
    outside = path.parent / f"{path.name}.moved"
    path.rename(outside)
    path.symlink_to(outside.name)


FILES = [
    *(f"models/tiny/{{}}/{name}" for name in ("model.bin", "model.py", "model.xml")),
    *(f"published/tiny/{{}}/{name}" for name in ("config.pbtxt", "configs/python.pbtxt", "labels.txt")),
    *(f"published/tiny/{{}}/{name}" for name in ("reference_outputs.npz", "index.json")),
]
HOW = {
    "one bit": flip,
    "one bit, its time kept": keep_time(flip),
    "one byte less": truncate,
    "a link": link_out,
    "gone": delete,
}
CASES = {
    f"{file.replace('{}/', '').replace('tiny/', '')}, {how}": (file, change)
    for position, file in enumerate(FILES)
    for number, (how, change) in enumerate(HOW.items())
    if (position + number) % 2 == 0
}


def existing(scene, file, number):
    """Return a file of a stored version; the engine's may be called otherwise."""
    path = scene.state / file.format(number)
    return path if path.exists() else next(path.parent.glob(f"*{path.suffix}"))


@faults(CASES)
def the_version_before_is_tampered_with_and_rolled_back_to(scene, case):
    file, change = case
    number = scene.store.ledger.before(scene.store.ledger.live())["tiny"]
    with scene.kept(scene.state / "models", scene.state / "published"):
        change(existing(scene, file, number))
        scene.rollback(allowed=False).refused(REFUSED, "Nothing was changed")


@faults({"a module": "extra.py", "compiled code": "__pycache__/model.cpython-311.pyc", "a library": "numpy.py"})
def something_is_put_beside_the_version_before(scene, name):
    number = scene.store.ledger.before(scene.store.ledger.live())["tiny"]
    with scene.kept(scene.state / "models", scene.state / "published"):
        path = scene.state / f"models/tiny/{number}" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit(3)\n")
        outcome = scene.rollback(allowed=name.startswith("__"))
        if not name.startswith("__"):
            outcome.refused(REFUSED)
        scene.deploy(LIVE)


@faults({f"{file.replace('{}/', '')}": file for file in FILES[:6]})
def the_live_version_is_tampered_with_and_its_server_killed(scene, file):
    number = scene.store.ledger.live()["tiny"]
    flip(existing(scene, file, number))
    scene.kill(scene.server)
    assert "was changed since" in scene.deploy(LIVE).succeeded().said


@faults({name: name for name in ("config.pbtxt", "configs/python.pbtxt", "labels.txt")})
def what_triton_reads_is_tampered_with_and_its_server_killed(scene, name):
    path = scene.state / "models/tiny" / name
    right = sha256(path)
    flip(path)
    scene.kill(scene.server)
    scene.deploy(LIVE).succeeded()
    assert sha256(path) == right


@fault
def the_live_version_and_the_one_before_are_tampered_with(scene):
    with scene.kept(scene.state / "models", scene.state / "published"):
        for path in (scene.state / "models/tiny").glob("*/model.py"):
            negate(path)
        scene.rollback(allowed=False).refused(REFUSED)
        scene.run("status").succeeded()
    scene.deploy(LIVE).succeeded()


@fault
def all_stored_versions_are_tampered_with_and_a_new_one_deployed(scene):
    for path in filter(Path.is_file, (scene.state / "models/tiny").glob("*/*")):
        flip(path)
    scene.may_forget()
    scene.deploy(NEXT).succeeded()


BUILT = ["1/model.bin", "1/model.py", "1/model.xml", "config.pbtxt", "configs/python.pbtxt", "labels.txt"]


@faults({name: name for name in BUILT})
def the_built_version_is_tampered_with(scene, name):
    training = scene.trainings[NEXT]
    path = training.folder / name
    path = path if path.exists() else next(path.parent.glob(f"*{path.suffix}"))
    with scene.kept(path):
        flip(path)
        scene.deploy(NEXT, allowed=False).refused("tiny")


@fault
def something_is_put_into_the_built_version(scene):
    path = scene.trainings[NEXT].folder / "1" / "extra.py"
    with scene.kept(path):
        path.write_text("x")
        scene.deploy(NEXT, allowed=False).refused("extra.py")


@faults({"{}": "{}", "null": "null", "empty": "", "a list": "[]", "noise": "\x00\x01"})
def the_built_index_is_damaged(scene, text):
    index = scene.trainings[NEXT].index
    with scene.kept(index):
        index.write_text(text)
        scene.deploy(NEXT, allowed=False).refused("error: ")


@faults({"outside": "../../../escaped", "absolute": "/tmp/escaped", "a folder below": "a/b", "empty": "", "dots": ".."})
def the_built_index_names_a_model(scene, name):
    index = scene.trainings[NEXT].index
    with scene.kept(index):
        write_json(index, read_json(index) | {"name": name})
        scene.deploy(NEXT, allowed=False).refused("error: ")
    assert not list(scene.folder.rglob("*escaped*"))


@fault
def the_built_index_names_a_file_outside(scene):
    index, outside = scene.trainings[NEXT].index, scene.folder / "outside"
    with scene.kept(index):
        outside.write_text("secret")
        said = read_json(index)
        write_json(index, said | {"files": said["files"] | {"../../../outside": sha256(outside)}})
        scene.deploy(NEXT, allowed=False).refused("error: ")


def noise(path):
    path.write_bytes(os.urandom(2000))


def altered(path, side, alter):
    """Alter the arrays of a side of reference outputs, "inputs" or "outputs". None takes an array out."""
    arrays = {name: alter(array) if f"/{side}/" in name else array for name, array in read_arrays(path).items()}
    write_arrays(path, {name: array for name, array in arrays.items() if array is not None})


def of_nan(path):
    altered(path, "outputs", lambda logits: np.full_like(logits, np.nan))


def of_zeros(path):
    altered(path, "outputs", np.zeros_like)


def of_another_shape(path):
    altered(path, "inputs", lambda pictures: pictures[:, :, :8])


def without_logits(path):
    altered(path, "outputs", lambda _: None)


def pickled(path):
    arrays = read_arrays(path)
    np.savez(path, **arrays | {name: np.array([{"a": 1}], dtype=object) for name in arrays if name != "contract"})


REFERENCES = [noise, of_nan, of_zeros, of_another_shape, without_logits, pickled, delete]


@faults({change.__name__.replace("_", " "): change for change in REFERENCES})
def the_built_reference_logits_are(scene, change):
    reference = scene.trainings[NEXT].reference
    with scene.kept(reference):
        change(reference)
        scene.deploy(NEXT, allowed=False).refused("error: ")


@fault
def the_reference_logits_are_those_of_another_training(scene):
    reference = scene.trainings[NEXT].reference
    with scene.kept(reference):
        shutil.copyfile(scene.trainings[PREVIOUS].reference, reference)
        scene.deploy(NEXT, allowed=False).refused("its answer differs from the reference")


def signed(scene, *numbers):
    """Return a public key, another one, and the signatures of trainings, which lie beside their indexes."""
    keys = scene.folder / "keys"
    keys.mkdir(exist_ok=True)
    private, public = key_pair(keys)
    _, other = key_pair(keys, "other")
    signatures = []
    for number in numbers:
        signatures.append(scene.trainings[number].signature)
        sign(scene.trainings[number].folder.parent, private, signatures[-1])
    return public, other, signatures


@fault
def a_signature_is_missing_or_noise_or_of_another_key(scene):
    public, other, (signature,) = signed(scene, NEXT)
    with_key = ("--public-key",)
    scene.deploy(NEXT, *with_key, other, allowed=False).refused("Nothing was changed")
    with scene.kept(signature):
        signature.write_text("{}")
        scene.deploy(NEXT, *with_key, public, allowed=False).refused("error: ")
        noise(signature)
        scene.deploy(NEXT, *with_key, public, allowed=False).refused("error: ")
        delete(signature)
        scene.deploy(NEXT, *with_key, public, allowed=False).refused("error: ")


@fault
def a_version_was_never_signed_and_is_rolled_back_to_under_a_key(scene):
    public, _, _ = signed(scene, NEXT)
    scene.deploy(NEXT, "--public-key", public).succeeded()
    scene.rollback("--public-key", public, allowed=False).refused("is not signed")


@faults({"noise": noise, "gone": delete, "empty": lambda path: path.write_text("")})
def the_public_key_is(scene, change):
    public, _, _ = signed(scene, NEXT)
    change(public)
    scene.deploy(NEXT, "--public-key", public, allowed=False).refused("error: ")


@fault
def a_receipt_speaks_of_a_version_that_never_was(scene):
    path = scene.path("results/tiny/deploy/receipt.json")
    write_json(path, read_json(path) | {"number": 999})
    scene.run("status").succeeded()
    scene.rollback()


@fault
def the_history_is_edited_so_that_another_version_seems_live(scene):
    ledger = scene.store.ledger
    *older, before, live = ledger.read()["live"]
    ledger.write(live=[*older, live, before])
    scene.run("status").succeeded()


@fault
def the_record_names_versions_that_are_not_there(scene):
    ledger = scene.store.ledger
    said = ledger.read()
    ledger.write(live=[{"tiny": 77}, *said["live"]], last={"tiny": 78})
    scene.run("status").succeeded()
    scene.deploy(NEXT).succeeded()
