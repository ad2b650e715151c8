"""Slipway as a module of another workflow: that of docs/module.md."""

import re

import pytest
import yaml
from helpers.pages import blocks
from helpers.workplace import REPOSITORY, Workplace, tiny_configuration

pytestmark = pytest.mark.slow


class Outer(Workplace):
    """A folder with another workflow, whose configuration has Slipway's as one of its keys."""

    def write_config(self):
        """Write the outer workflow's configuration."""
        self.path("workflow.yaml").write_text(yaml.safe_dump({"slipway": self.config}), encoding="utf-8")

    def snakemake_command(self, *targets):
        """Return the command line of docs/module.md."""
        command = super().snakemake_command(*targets)
        command[command.index("-s") + 1] = "Snakefile"
        return command


@pytest.fixture(scope="module")
def outer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("module")
    (folder / "slipway").symlink_to(REPOSITORY)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/best.pth").write_bytes(b"read by later jobs than those that run here")
    config = tiny_configuration()
    config["models"] = {"my_model": config["models"]["tiny"] | {"weights": "checkpoints/best.pth"}}
    (shown,) = blocks("docs/module.md", "python")
    handler = 'onstart:\n    Path("began").touch()\n\n\n'
    (folder / "Snakefile").write_text(f"from pathlib import Path\n\n\n{handler}{shown}", encoding="utf-8")
    return Outer(folder, config)


def test_it_runs_beside_the_outer_workflows_handlers_and_then_only_what_was_edited(outer):
    samples = "results/my_model/samples.npz"
    outer.snakemake(samples).succeeded()
    assert outer.path("began").is_file()
    assert outer.path("logs/my_model/sample_inputs.log").is_file()
    planned = outer.snakemake("-n").succeeded().said
    jobs = set(re.findall(r"^(\w+) +1$", planned, re.MULTILINE))
    assert {"all", "fetch_weights", "build_openvino", "write_report"} <= jobs
    assert "sample_inputs" not in jobs
    outer.path(samples).write_bytes(b"edited")
    assert "edited or truncated since it was made" in outer.snakemake("-n", samples).succeeded().said


def test_other_names_of_its_rules_are_refused(outer):
    place = outer.path("Snakefile")
    text = place.read_text(encoding="utf-8")
    place.write_text(text.replace("from slipway\n", "from slipway as other_*\n"), encoding="utf-8")
    try:
        outer.snakemake("-n").refused("leave `prefix` and `replace_prefix` out of the module")
    finally:
        place.write_text(text, encoding="utf-8")
