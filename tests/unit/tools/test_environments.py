import yaml
from helpers.workplace import REPOSITORY

ENVIRONMENTS = REPOSITORY / "envs"


def test_conda_installs_every_version_that_was_tested_from_its_one_file():
    constraints = (ENVIRONMENTS / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = [line for line in constraints if not line.startswith("#")]
    conda = yaml.safe_load((ENVIRONMENTS / "slipway.yaml").read_text(encoding="utf-8"))
    assert conda["dependencies"] == ["python=3.11", "pip", {"pip": tested}], "run `make lock`"
