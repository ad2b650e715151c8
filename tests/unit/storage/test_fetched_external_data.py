"""An ONNX file in storage is fetched with the files of its external data."""

import fsspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from slipway.core.errors import SlipwayError


def onnx_file(location):
    """Return the bytes of an ONNX file whose weights lie at `location`."""
    weights = numpy_helper.from_array(np.zeros((2, 2), np.float32), "w")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", shape[:1], shape[1:], [weights])
    return helper.make_model(graph).SerializeToString()


@pytest.fixture
def exported(storage):
    """Return storage with an ONNX file whose weights lie beside it."""
    storage.address = f"{storage.root}/model.onnx"
    storage.put(onnx_file("data/model.bin"), "model.onnx")
    storage.put(b"w" * 16, "data/model.bin")
    return storage


def test_the_external_data_of_an_onnx_file_are_fetched_and_new_ones_are_stale(exported):
    before = exported.plan()
    path = exported.fetch()
    assert (path.parent / "data" / "model.bin").read_bytes() == b"w" * 16
    assert onnx.load(path, load_external_data=False).graph.initializer[0].name == "w"
    assert exported.plan() == before
    exported.put(b"v" * 16, "data/model.bin")
    after = exported.plan()
    assert after != before
    assert (exported.fetch().parent / "data" / "model.bin").read_bytes() == b"v" * 16
    assert exported.plan() == after


@pytest.mark.parametrize("location", ["../best.pth", "/etc/passwd", "fetched.json"])
def test_external_data_that_lie_elsewhere_are_refused(exported, location):
    exported.put(onnx_file(location), "model.onnx")
    with pytest.raises(SlipwayError, match=r"model\.onnx names .* as its external data"):
        exported.fetch()
    assert not list(exported.folder.glob("*/model.onnx"))


def test_external_data_that_are_missing_are_told(exported):
    fsspec.filesystem("memory").rm(f"{exported.root}/data/model.bin")
    with pytest.raises(SlipwayError, match=r"data/model\.bin could not be read: it does not exist"):
        exported.fetch()


def test_a_reader_of_other_files_need_not_know_onnx(storage):
    storage.address = f"{storage.root}/broken.onnx"
    storage.put(b"no ONNX", "broken.onnx")
    assert storage.fetch().read_bytes() == b"no ONNX"
