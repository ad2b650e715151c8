"""infer.py, and the smoke test, for models of several inputs, dynamic axes or no batch axis in a real tritonserver."""

import numpy as np
import pytest
from helpers.models.text_engine import TEXT, WHOLE, text_engine, text_of, whole_engine
from helpers.patience import PATIENCE_S

import infer
from slipway.contract.archives import write_samples
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.errors import SlipwayError
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.client.smoke_test import Expected, smoke_test
from slipway.triton.repository.model_folder import served_model, write_model
from slipway.triton.server.installation import find_installation
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import Server

pytestmark = pytest.mark.slow

MAX_BATCH = 4
LIMITS = {"min_cosine": 0.9999, "max_relative_error": 1e-4, "min_top1_agreement": 1.0}
TEXTS = [text_of(7, 3, 11), text_of(5), text_of(*range(1, 11)), text_of(2, 2, 30), text_of(9, 8, 7, 6)]
SIGNAL = {"signal": np.float32([[1, 2, 3], [4, 5, 6]]), "gain": np.float32([0.5])}


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """Return the loaded engines, and {name: ReferenceOutputs} of what they answer."""
    folder = tmp_path_factory.mktemp("engines")
    made = {
        "text": (text_engine(folder), TEXT, TEXTS),
        "whole": (whole_engine(folder), WHOLE, [SIGNAL, SIGNAL | {"gain": np.float32([2])}]),
    }
    loaded = {name: engine.load() for name, (engine, _, _) in made.items()}
    reference = {
        name: ReferenceOutputs(contract, tuple(Sample(inputs, loaded[name].infer(inputs)) for inputs in samples))
        for name, (_, contract, samples) in made.items()
    }
    return {name: engine for name, (engine, _, _) in made.items()}, reference


@pytest.fixture(scope="module")
def server(engines, tmp_path_factory):
    """Return a live server of both models."""
    folder = tmp_path_factory.mktemp("server")
    labels = folder / "labels.txt"
    labels.write_text("a\nb\nc\n", encoding="utf-8")
    for name, engine in engines[0].items():
        served = served_model(name, engine, engines[1][name].contract, MAX_BATCH, 1)
        write_model(folder / "repository" / name, served, engine, labels)
    installation = find_installation(folder, ServerChoice("wheel"))
    with Server(installation, [folder / "repository"], Ports.free(), folder / "server.log") as server:
        server.wait_until_ready(PATIENCE_S)
        yield server


def asked(server, folder, arrays, *options, model="text"):
    """Run infer.py on named arrays; return the named arrays that it writes."""
    given, written = folder / "inputs.npz", folder / "outputs.npz"
    np.savez(given, **arrays)
    url = f"127.0.0.1:{server.ports.grpc}"
    infer.main(infer.parse_arguments([str(given), "--output", str(written), "--url", url, "--model", model, *options]))
    with np.load(written, allow_pickle=False) as archive:
        return dict(archive)


def numbered(samples):
    return {f"{number}/{name}": array for number, inputs in enumerate(samples) for name, array in inputs.items()}


@pytest.mark.parametrize("name", ["text", "whole"])
def test_the_smoke_test_proves_every_output_alone_and_in_batches(server, engines, name):
    reference = engines[1][name]
    with ModelClient(server.ports, name) as client:
        proof = smoke_test(client, Expected(name, reference, ["a", "b", "c"], LIMITS))
    assert (
        set(proof["outputs"])
        == set(proof["agreement"]["outputs"])
        == {each.name for each in reference.contract.outputs}
    )
    assert proof["batch_independence"]["batches"] == ([2, 4] if name == "text" else [])
    assert proof["max_batch_size"] == (MAX_BATCH if name == "text" else 0)
    assert "unexpected shape" in proof["refused"]
    assert proof["requests_counted"] >= 10


def test_samples_of_several_lengths_get_the_answers_that_they_have_alone(server, engines, tmp_path, capsys):
    found = asked(server, tmp_path, numbered(TEXTS), "--batch", "3")
    for number, sample in enumerate(engines[1]["text"].samples):
        for name, array in sample.outputs.items():
            assert found[f"{number}/{name}"].dtype == array.dtype
            np.testing.assert_allclose(found[f"{number}/{name}"], array, rtol=1e-5, atol=1e-6)
    assert len(found) == len(TEXTS) * len(TEXT.outputs)
    said = capsys.readouterr().err
    assert "text answered 2 request(s)" in said
    assert "outputs.npz has 5 answer(s); arrays of the first request: " in said


def test_rows_of_one_array_are_samples_and_integers_are_cast(server, engines, tmp_path, capsys):
    rows = {name: np.repeat(array, 6, axis=0).astype(np.int16) for name, array in TEXTS[0].items()}
    found = asked(server, tmp_path, rows)
    for name, array in engines[1]["text"].request.outputs.items():
        np.testing.assert_allclose(found[name], np.repeat(array, 6, axis=0), rtol=1e-5, atol=1e-6)
    said = capsys.readouterr().err
    assert "text answered 2 request(s)" in said
    assert "outputs.npz has 6 answer(s); arrays: " in said


def test_a_model_without_a_batch_axis_is_asked_whole(server, tmp_path, capsys):
    np.testing.assert_array_equal(asked(server, tmp_path, SIGNAL, model="whole")["louder"], SIGNAL["signal"] / 2)
    assert "outputs.npz has 1 answer(s); arrays: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arrays", "options", "sentence"),
    [
        (
            {"input_ids": TEXTS[0]["input_ids"]},
            [],
            "the inputs are input_ids, but the model takes input_ids, attention",
        ),
        (text_of(*range(17)), [], "the axis sequence of the inputs has the size 17, but the model takes 1 to 16"),
        (
            text_of(1) | {"attention_mask": np.ones((1, 2), np.int64)},
            [],
            r"attention_mask is int64 \(1, 2\), but the model",
        ),
        (
            text_of(1) | {"input_ids": np.float32([[0.5]])},
            [],
            "takes input_ids as int64, and values of this float32 would",
        ),
        (text_of(1) | {"input_ids": np.int64([1])}, [], r"the input input_ids is int64 \(1,\), but the model takes"),
        (numbered([text_of(1), text_of(*range(17))]), [], "sample 1: the axis sequence"),
        (text_of(1), ["--batch", "5"], "text takes at most 4 samples a request, not 5; give --batch 4 or less"),
        (text_of(1), ["--deadline-ms", "0"], "--deadline-ms 0.0 is too low"),
        ({}, [], "inputs.npz has no arrays; write one for each input"),
    ],
)
def test_what_the_model_does_not_take_is_told_and_nothing_is_written(server, tmp_path, arrays, options, sentence):
    (tmp_path / "outputs.npz").write_bytes(b"kept")
    with pytest.raises(SlipwayError, match=sentence):
        asked(server, tmp_path, arrays, *options)
    assert (tmp_path / "outputs.npz").read_bytes() == b"kept"


@pytest.mark.parametrize("output", ["inputs.npz", ".", "absent/outputs.npz"])
def test_answers_replace_neither_inputs_nor_folders(tmp_path, output):
    write_samples(tmp_path / "inputs.npz", TEXTS)
    before = (tmp_path / "inputs.npz").read_bytes()
    options = [str(tmp_path / "inputs.npz"), "--output", str(tmp_path / output), "--url", "127.0.0.1:9"]
    with pytest.raises(SlipwayError, match=r"--output .*(name another file|name a file in a folder that exists)"):
        infer.main(infer.parse_arguments(options))
    assert (tmp_path / "inputs.npz").read_bytes() == before
