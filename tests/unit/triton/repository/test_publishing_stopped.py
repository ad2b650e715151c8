"""A publication that is stopped, killed or damaged on the way: no index, and the old version whole."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from helpers.artifacts.published import Failing, published, refused

from slipway.core.errors import SlipwayError
from slipway.keys.code_hash import SCRIPTS
from slipway.triton.repository import storage

# Publishes, and is killed when it makes its n-th file last.
KILLED = """
import os, signal, sys
from pathlib import Path
from slipway.triton.repository.publishing import publish
folder, index, destination, at = sys.argv[1:]
made_last = []
def fsync(descriptor):
    made_last.append(descriptor)
    if len(made_last) == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
publish(Path(folder), Path(index), destination, 3)
"""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), ConnectionError("reset")])
def test_wherever_it_is_stopped_there_is_no_index_and_the_old_version_is_whole(
    in_memory, of_engine, monkeypatch, error
):
    old, new = of_engine("old"), of_engine("new")
    old.publish(in_memory)
    before = published(in_memory)
    for at in range(1, 6):  # four files and the index
        with monkeypatch.context() as patched:
            Failing(patched, error, at=at)
            with pytest.raises((SlipwayError, KeyboardInterrupt)):
                new.publish(in_memory)
        assert published(in_memory) == before
        storage.Storage(in_memory).remove_folder(new.version)
    new.publish(in_memory)
    assert set(published(in_memory)) == {old.version, new.version}


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_publisher_that_is_killed_leaves_the_old_version_and_the_next_one_ends_it(in_folder, of_engine, at):
    """The real process, when it has written a file under a name of its own and not yet renamed it."""
    old, new = of_engine("old"), of_engine("new")
    old.publish(in_folder)
    before = published(in_folder)
    given = [str(new.folder), str(new.index), in_folder, str(at)]
    done = subprocess.run([sys.executable, "-c", KILLED, *given], cwd=SCRIPTS, check=False)
    assert done.returncode == -signal.SIGKILL
    assert published(in_folder) == before
    assert len(list(Path(in_folder).glob(".partial.*"))) == 1
    new.publish(in_folder)
    assert set(published(in_folder)) == {old.version, new.version}
    assert not list(Path(in_folder).glob(".partial.*"))


def test_what_was_stopped_goes_on_where_it_was(in_memory, of_engine, monkeypatch):
    new = of_engine("new")
    with monkeypatch.context() as patched:
        Failing(patched, ConnectionError(), at=4)
        refused(new, in_memory)
    failing = Failing(monkeypatch, None)
    assert new.publish(in_memory)["copied"] is True
    assert failing.writes == 2


def test_a_file_that_arrives_otherwise_is_found(in_memory, of_engine, monkeypatch):
    def cut(system, source, path, **_):
        system.pipe_file(path, Path(source).read_bytes()[:-1])

    monkeypatch.setattr(MemoryFileSystem, "put_file", cut)
    assert "read back, is not what was sent" in refused(of_engine("a"), in_memory)
    assert published(in_memory) == {}


def test_an_index_that_arrives_otherwise_is_taken_back(in_memory, of_engine, monkeypatch):
    real = MemoryFileSystem.pipe_file
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lambda system, path, value: real(system, path, value[:-2]))
    assert "read back, is not what was sent" in refused(of_engine("a"), in_memory)
    assert published(in_memory) == {}
