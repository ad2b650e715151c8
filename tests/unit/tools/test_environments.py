import yaml
from helpers.workplace import REPOSITORY

ENVIRONMENTS = REPOSITORY / "envs"


def pins_of(name):
    lines = (ENVIRONMENTS / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_conda_installs_every_version_that_was_tested_from_its_one_file():
    tested = pins_of("constraints.txt")
    conda = yaml.safe_load((ENVIRONMENTS / "slipway.yaml").read_text(encoding="utf-8"))
    assert conda["dependencies"] == ["python=3.11", "pip", {"pip": tested}], "run `make lock`"
    script = (ENVIRONMENTS / "slipway.post-deploy.sh").read_text(encoding="utf-8")
    assert f'packages="{" ".join(pins_of("serving-constraints.txt"))}"' in script, "run `make lock`"
    assert f'programs="{" ".join(pins_of("triton.txt"))}"' in script, "run `make lock`"
