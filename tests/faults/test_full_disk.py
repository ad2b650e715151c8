"""A full disk is named as such, and what was good stays."""

import pytest
from helpers.full_disk import NAMESPACE, can_mount
from helpers.workplace import ONNX, WEIGHTS, random_checkpoint

pytestmark = pytest.mark.slow

# In a mount namespace of its own, results/ becomes a small file system: its content and half a megabyte. What remains
# on it is copied out before it vanishes with the namespace.
ON_A_FULL_DISK = """
size=$(( $(du -sk results | cut -f1) + 512 ))
cp -a results kept && mount -t tmpfs -o "size=${size}k" tmpfs results && cp -a kept/. results || exit 99
"$@"
code=$?
cp -a results afterwards
exit $code
"""


@pytest.mark.long
@pytest.mark.parametrize("made", [WEIGHTS, ONNX])
def test_full_disk_is_named_and_nothing_partial_remains(after_good_run, tmp_path, made):
    if not can_mount(tmp_path):
        pytest.skip("mounting a small file system needs Linux with user namespaces; a size limit would not be ENOSPC")
    if made == ONNX:
        after_good_run.configure("models.tiny.preprocess.crop", 48)
    else:
        random_checkpoint(after_good_run.path("good.pth"), seed=2)
    before = after_good_run.artifacts()

    command = after_good_run.snakemake_command(made)
    outcome = after_good_run.run([*NAMESPACE, "bash", "-c", ON_A_FULL_DISK, "bash", *command])

    outcome.refused("the disk is full", "No space left on device", "free some space and run again")
    after_good_run.path("results").rename(after_good_run.path("beneath"))
    after_good_run.path("afterwards").rename(after_good_run.path("results"))
    assert after_good_run.artifacts() == before
    assert not after_good_run.partial_files()

    after_good_run.snakemake(made).succeeded()
    assert after_good_run.artifacts()[made] != before[made]
