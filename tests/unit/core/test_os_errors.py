import errno
import os
import shutil

import pytest

from slipway.core.os_errors import explained


def error(number, *files):
    return OSError(number, os.strerror(number), *files)


@pytest.mark.parametrize(
    ("number", "phrases"),
    [
        (errno.ENOSPC, ["the disk is full", "free some space"]),
        (errno.EDQUOT, ["quota", "free some space"]),
        (errno.EROFS, ["read-only", "run where it can be written"]),
        (errno.EACCES, ["may not", "permissions"]),
        (errno.ENOLCK, ["has no locks", "local disk"]),
        (errno.ENOTDIR, ["a file stands where a folder has to be", "move it away"]),
        (errno.EISDIR, ["a folder stands where a file has to be", "move it away"]),
        (errno.EFBIG, ["may not become so large", "ulimit -f"]),
        (errno.ENOEXEC, ["no program for this machine", "off PATH"]),
        (errno.EMFILE, ["too many files", "ulimit -n"]),
        (errno.EIO, ["the disk failed"]),
        (errno.ESTALE, ["remounted", "run again"]),
    ],
)
def test_what_the_system_refused_has_a_way_out_and_the_file(number, phrases):
    sentence = explained(error(number, "results/a"))
    assert [phrase for phrase in [*phrases, "results/a", os.strerror(number)] if phrase not in sentence] == []


def test_a_copy_that_failed_midway_is_told_by_its_first_file(tmp_path):
    (tmp_path / "from").mkdir()
    for name in ("a", "b"):
        (tmp_path / "from" / name).symlink_to(tmp_path / "nothing")
    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "from", tmp_path / "to")
    sentence = explained(caught.value)
    assert f"{tmp_path / 'from'}" in sentence
    assert "and 1 more like it" in sentence
    assert "[(" not in sentence


def test_a_copy_onto_a_full_disk_says_so():
    failures = [("engine.bin", "store/engine.bin", str(error(errno.ENOSPC, "store/engine.bin")))]
    assert explained(shutil.Error(failures)).startswith("the disk is full (engine.bin could not be copied")


def test_other_errors_keep_their_own_words():
    assert explained(error(errno.ESRCH, "a")) is None
    assert explained(OSError("of a library")) is None
