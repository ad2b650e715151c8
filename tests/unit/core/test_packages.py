import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

from slipway.core import packages
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT


@pytest.fixture
def interpreter(tmp_path):
    """Return a function that makes an interpreter which sees distributions of the given names and versions."""

    def make(**versions):
        site = tmp_path / "site"
        for name, version in versions.items():
            folder = site / f"{name}-{version}.dist-info"
            folder.mkdir(parents=True)
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wrapper = tmp_path / "python"
        wrapper.write_text(f'#!/bin/sh\nPYTHONPATH="{site}" exec "{sys.executable}" "$@"\n')
        wrapper.chmod(0o755)
        return str(wrapper)

    return make


def test_another_interpreter_is_asked(interpreter):
    python = interpreter(tensorrt="8.5.3.1")
    assert packages.runtime_version("tensorrt", python) == "8.5.3.1"
    assert packages.cuda_version("tensorrt", python) == "linked into the library"


def test_the_cuda_is_that_of_the_packages_name(interpreter):
    python = interpreter(tensorrt_cu12="10.9.0.34")
    assert packages.runtime_version("tensorrt", python) == "10.9.0.34"
    assert packages.cuda_version("tensorrt", python) == "cu12"


def test_this_interpreter_is_not_started_again():
    expected = metadata.version("tensorrt-rtx-cu13")
    assert packages.runtime_version("tensorrt_rtx") == expected
    assert packages.runtime_version("tensorrt_rtx", sys.executable) == expected


def test_another_environment_of_the_same_interpreter_is_asked(tmp_path):
    venv.create(tmp_path / "other", symlinks=True)
    python = tmp_path / "other" / "bin" / "python"
    assert python.resolve() == Path(sys.executable).resolve()
    assert packages.runtime_version("tensorrt_rtx", str(python)) == ABSENT


def test_an_interpreter_that_does_not_exist_has_nothing():
    assert packages.runtime_version("tensorrt", "/nowhere/python") == ABSENT


def test_a_runtime_of_another_version_and_one_that_is_absent_are_refused(monkeypatch):
    installed = packages.runtime_version("tensorrt_rtx")
    assert packages.require_runtime("tensorrt_rtx", None) == packages.require_runtime("tensorrt_rtx", installed)
    with pytest.raises(SlipwayError, match=f"planned for tensorrt_rtx 1.0, but {installed} runs; run snakemake again"):
        packages.require_runtime("tensorrt_rtx", "1.0")
    monkeypatch.setattr(packages, "_installed", lambda *_: {})
    with pytest.raises(SlipwayError, match=r"^TensorRT is not installed under this interpreter.*`tensorrt.python`"):
        packages.require_runtime("tensorrt", "10.0")
    with pytest.raises(SlipwayError, match=r"^TensorRT for RTX is not installed here; pip install"):
        packages.require_runtime("tensorrt_rtx", "1.0")
