import base64
import json

import pytest
from helpers.models.tiny_engine import CLASSES, change_record, tiny_engine

from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.load_test.candidates import Candidates, require_covered_batches
from slipway.triton.repository.model_config import read_config
from slipway.triton.server.installation import Installation


@pytest.fixture
def tiny(tmp_path):
    return tiny_engine(tmp_path)


def give_profiles(tiny, profiles):
    """Make the build record that of a TensorRT engine with these profiles."""
    key = read_json(tiny.engine_record)["key"] | {"runtime": "tensorrt"}
    change_record(tiny.engine_record, key=key, profiles=profiles)


def test_any_batch_is_accepted_without_profiles(tiny):
    require_covered_batches({"m": tiny.engine}, [8, 32])


@pytest.mark.parametrize("profiles", [[{"min": 1, "opt": 8, "max": 32}], [{"min": 1, "max": 8}, {"min": 9, "max": 32}]])
def test_batches_that_the_profiles_cover_are_accepted(tiny, profiles):
    give_profiles(tiny, profiles)
    require_covered_batches({"m": tiny.engine}, [8, 32])


@pytest.mark.parametrize(
    ("profiles", "missing"),
    [
        ([{"min": 1, "opt": 8, "max": 16}], "1 to 16, not 17"),
        ([{"min": 1, "opt": 1, "max": 1}, {"min": 8, "opt": 8, "max": 32}], "1 to 1 and 8 to 32, not 2"),
    ],
)
def test_a_batch_that_no_profile_covers_is_named_with_the_keys_to_change(tiny, profiles, missing):
    give_profiles(tiny, profiles)
    with pytest.raises(SlipwayError, match=rf"`load_test.max_batch_sizes` goes up to 32.* {missing}") as caught:
        require_covered_batches({"m": tiny.engine}, [8, 32])
    assert "`tensorrt.profiles`" in str(caught.value)
    assert tiny.engine.path.name in str(caught.value)


@pytest.mark.parametrize(("native", "backend"), [(True, "openvino"), (False, "python")])
def test_a_candidate_is_configured_for_the_server_at_hand(tmp_path, tiny, native, backend):
    server = Installation("t", native_backends=native, folder=tmp_path)
    candidates = Candidates({"m_fp32": tiny.engine}, tiny.contract, [{"input": tiny.batch}], server)
    candidates.lay_out(tmp_path, candidates.configured("m_fp32", 4, 2))
    config = read_config(tmp_path / "repository" / "m_fp32" / "config.pbtxt")
    assert (config.backend, config.max_batch_size, config.instance_group[0].count) == (backend, 4, 2)
    assert list(config.output[0].dims) == [CLASSES]
    (sent,) = json.loads((tmp_path / "m_fp32.input.json").read_text(encoding="utf-8"))["data"]
    assert sent["input"]["shape"] == list(tiny.batch.shape[1:])
    assert base64.b64decode(sent["input"]["content"]["b64"]) == tiny.batch.tobytes()
