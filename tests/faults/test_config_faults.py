"""A wrong config.yaml is refused in one sentence before anything runs."""

import pytest
from helpers.workplace import WEIGHTS

pytestmark = pytest.mark.slow

FAULTS = {
    "unknown_key": (
        "benchmark.secnods",
        3,
        ["`benchmark.secnods` is not a key", "allowed are batch_sizes, min_samples"],
    ),
    "wrong_type": ("profile.steps", "many", ["`profile.steps` is 'many'", "must be a whole number at least 1"]),
    "unknown_architecture": ("models.tiny.architecture", "resnet51", ["`models.tiny.architecture` is 'resnet51'"]),
    "unknown_precision": ("targets.cpu.precisions", ["fp23"], ["`targets.cpu.precisions", "fp23", "fp32"]),
    "order": ("benchmark.batch_sizes", [8, 1], ["`benchmark.batch_sizes` is [8, 1]", "must ascend: [1, 8]"]),
}


@pytest.mark.parametrize(("key", "value", "phrases"), FAULTS.values(), ids=FAULTS.keys())
def test_wrong_configuration_is_refused_before_anything_runs(workplace, key, value, phrases):
    workplace.configure(key, value)

    outcome = workplace.snakemake(WEIGHTS).refused(*phrases)

    told = [line for line in outcome.said.splitlines() if line.startswith("config: ")]
    assert len(told) == 1, outcome.said
    assert "Traceback" not in outcome.said
    assert not workplace.path("results").exists()
    assert not workplace.path("logs").exists()
