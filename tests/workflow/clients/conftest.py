"""A tiny model for predict.py to ask, in a repository for real tritonservers."""

import numpy as np
import pytest
from helpers.models.classifier_contract import classifier
from helpers.models.tiny_engine import CLASSES, CROP, tiny_engine
from helpers.predicting import MAX_BATCH, PICTURES, said_by
from PIL import Image

from slipway.outputs.meaning import LOGITS, Meaning
from slipway.triton.repository.model_config import read_config, write_config
from slipway.triton.repository.model_folder import served_model, write_model

SLEEPY = "    def execute(self, requests: list) -> list:\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("predict")


@pytest.fixture(scope="module")
def tiny(folder):
    return tiny_engine(folder, input_dtype="uint8")


@pytest.fixture(scope="module")
def normalised(folder):
    """Return an engine of the same weights that takes normalised float32."""
    (folder / "normalised").mkdir()
    return tiny_engine(folder / "normalised", input_dtype="float32")


@pytest.fixture(scope="module")
def repository(folder, tiny, normalised):
    """Return a repository with both, as `tiny` and `float`, and the model `slow` that sleeps over each request.

    `numbers` and `several` are the engine of `tiny`, which say that its outputs are no classes, or a yes or no each.
    `float` does not say what its are.
    """
    models = {
        "tiny": (tiny, LOGITS),
        "float": (normalised, LOGITS),
        "slow": (tiny, LOGITS),
        "numbers": (tiny, Meaning("tensor")),
        "several": (tiny, Meaning("sigmoid", "sigmoid")),
    }
    for name, (model, meaning) in models.items():
        contract = classifier(model.batch.dtype.name, CROP, CLASSES, meaning)
        described = served_model(name, model.engine, contract, MAX_BATCH, 1)
        write_model(folder / "repository" / name, described, model.engine, model.labels)
    for file in ("config.pbtxt", "configs/python.pbtxt"):
        config = read_config(folder / "repository" / "float" / file)
        for name in ("contract", *LOGITS.parameters()):
            del config.parameters[name]
        write_config(folder / "repository" / "float" / file, config)
    adapter = folder / "repository" / "slow" / "1" / "model.py"
    text = adapter.read_text(encoding="utf-8")
    assert SLEEPY in text
    adapter.write_text(text.replace(SLEEPY, f"{SLEEPY}        time.sleep(0.5)\n"), encoding="utf-8")
    return folder / "repository"


@pytest.fixture(scope="module")
def pictures(folder):
    """Return a folder of pictures, so dark that the model is not sure of any."""
    (folder / "pictures").mkdir()
    random = np.random.default_rng(3)
    for index in range(PICTURES):
        pixels = random.integers(0, random.integers(1, 6, 3), (24 + index, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{index}.png")
    return folder / "pictures"


@pytest.fixture(scope="module")
def expected(tiny, pictures):
    """Return what `tiny` has to say of each picture."""
    return said_by(tiny, pictures)
