"""What several unit tests start from: targets that were measured, and stand-ins for TensorRT and the GPU."""

import functools
import sys

import pytest
from helpers.artifacts.measured import Measured
from helpers.gpu_stand_in import BINDINGS, Gpu, stand_ins
from helpers.models.engine_keys import H100
from helpers.models.weeks import Week

import build_engine
from slipway.core import hardware, packages
from slipway.core.errors import SlipwayError
from slipway.core.packages import runtime_version
from slipway.engines import build_strategy
from slipway.keys import code_hash
from write_manifests import main

_read_anew, _read_before = code_hash._read, functools.cache(code_hash._read)
# A plan reads the code of every program; the hundreds of plans here need not do it each.
code_hash._read = lambda path: (_read_before if path.is_relative_to(code_hash.SCRIPTS) else _read_anew)(path)


@pytest.fixture
def of_engine(tmp_path):
    """Return a function that makes a repository with some engine."""
    from helpers.artifacts.published import Repository

    return lambda engine, **options: Repository(tmp_path / f"made {engine}", engine, **options)


@pytest.fixture
def in_memory(tmp_path):
    """Return where a model is published in an object store."""
    return published_in("memory", tmp_path)


@pytest.fixture
def in_folder(tmp_path):
    """Return where a model is published in a folder."""
    return published_in("folder", tmp_path)


def published_in(kind, tmp_path):
    """Return where a model is published in storage of a kind, which the tests of other things need not import."""
    from helpers.artifacts.published import addresses

    from slipway.triton.repository.publishing import destination_of

    return destination_of(addresses(tmp_path)[kind], "slipway", "m", "h100")


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Return a function that measures a model on targets here, where nothing of them needs to be."""
    monkeypatch.chdir(tmp_path)
    return lambda **settings: Measured(tmp_path, **settings)


@pytest.fixture
def refused(measured):
    """Return a function that returns why no manifests were written, after making sure that there are none."""

    def told(**settings):
        found = measured(**settings).measure()
        with pytest.raises(SlipwayError) as caught:
            main(found.arguments())
        assert not found.path("deploy").exists()
        return str(caught.value)

    return told


@pytest.fixture
def with_bindings(monkeypatch):
    """Return a function that puts a GPU with some bindings under the TensorRT runner, and returns it."""
    ours = [f"slipway.runtimes.tensorrt.{name}" for name in ("with_pycuda", "with_cuda_bindings")]

    def choose(*bindings):
        gpu = Gpu()
        for name, module in stand_ins(gpu, *bindings).items():
            monkeypatch.setitem(sys.modules, name, module)
        return gpu

    for name in ours:
        sys.modules.pop(name, None)
    yield choose
    for name in ours:
        sys.modules.pop(name, None)


@pytest.fixture(params=BINDINGS)
def gpu(with_bindings, request):
    """Return a GPU, once with each of the bindings and once with both."""
    return with_bindings(*BINDINGS[request.param])


@pytest.fixture
def graphs(with_bindings):
    """Return a GPU where CUDA graphs can be recorded."""
    return with_bindings("cuda-bindings")


@pytest.fixture
def week(tmp_path, monkeypatch, with_bindings):
    """Return a folder in which a model was trained once and its engine is still to be built."""
    week = Week(tmp_path, with_bindings("cuda-bindings"))
    versions = {"tensorrt": "8.5.3.1"}
    monkeypatch.setattr(packages, "runtime_version", lambda name: versions.get(name) or runtime_version(name))
    short = {"comparing.ROUNDS": 2, "comparing.WARM_UP_SECONDS": 0.001}
    short |= {"measuring.TURN_SECONDS": 0.001, "measuring.TURN_SAMPLES": 5}
    for name, value in short.items():
        monkeypatch.setattr(f"slipway.runtimes.tensorrt.{name}", value)
    for module in (build_engine, build_strategy):
        monkeypatch.setattr(module, "progress", week.said.append)
    week.train(1)
    yield week
    assert not list(tmp_path.rglob("*.partial*")), "a partial file was left behind"


@pytest.fixture
def an_h100(monkeypatch):
    """Let this machine have an H100."""
    monkeypatch.setattr(hardware, "gpu_identity", lambda: H100)


@pytest.fixture
def in_an_empty_folder(tmp_path, monkeypatch):
    """Let the test run in a folder in which nothing was made yet."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photographs(tmp_path):
    """Return a folder of two files that are named as photographs."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(b"one")
    (folder / "1.jpg").write_bytes(b"two")
    return folder
