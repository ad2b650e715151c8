"""A network that cannot be exported is told in one sentence, with the operator and the line, and leaves nothing."""

import pytest
import torch
from helpers.models import unexportable
from helpers.workplace import ONNX, REPOSITORY

TESTS = REPOSITORY / "tests"

pytestmark = pytest.mark.slow


def bring(workplace, network):
    """Make `network` the one of the workplace, with a checkpoint."""
    torch.manual_seed(0)
    torch.save(network().state_dict(), workplace.folder / "good.pth")
    workplace.configure("models.tiny.architecture", f"{network.__module__}:{network.__name__}")
    return workplace


@pytest.mark.long
def test_an_export_that_fails_is_one_sentence_and_its_log_has_the_rest_without_colours(workplace):
    bring(workplace, unexportable.Bessel)
    tried = workplace.snakemake(ONNX, PYTHONPATH=str(TESTS))
    tried.refused(
        "error: the network cannot be exported: it uses the operator aten.special_bessel_j0", "unexportable.py:"
    )
    assert "\x1b[" not in tried.said
    assert "Traceback" not in tried.said
    happened, *repeated = tried.said.split("the network cannot be exported")[1:]
    assert len(repeated) == 1, "where it happened, and once more in the last lines"
    assert "export_onnx failed (logs/tiny/export_onnx.log):" in happened
    log = (workplace.folder / "logs" / "tiny" / "export_onnx.log").read_text(encoding="utf-8")
    assert "No ONNX function found" in log
    assert "\x1b[" not in log
    assert not (workplace.folder / ONNX).exists()
    assert workplace.partial_files() == []
