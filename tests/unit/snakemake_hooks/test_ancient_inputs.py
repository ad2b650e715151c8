"""A changed setting is noticed although a job before it runs, too; and an `ancient` input triggers nothing."""

import re
import subprocess
import sys
from pathlib import Path

from helpers.workplace import REPOSITORY
from snakemake.io import _IOFile, is_flagged

from slipway.snakemake_hooks.hooks import Hooks

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
SNAKEFILE = f"""
import sys

sys.path.insert(0, {str(SCRIPTS)!r})
from slipway.snakemake_hooks.ancient_inputs import compare_settings_behind_ancient_inputs

compare_settings_behind_ancient_inputs()


rule graph:
    input:
        ancient("interface"),
    output:
        "graph",
    params:
        config["of_both"],
    shell:
        "touch {{output}}"


rule interface:
    output:
        "interface",
    params:
        config["of_both"],
        config["meaning"],
    shell:
        "touch {{output}}"
"""


def snakemake(folder, *options, of_both=1, meaning=1):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *options]
    command += ["graph", "--config", f"of_both={of_both}", f"meaning={meaning}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return set(re.findall(r"^(graph|interface) +1$", done.stdout + done.stderr, re.MULTILINE))


def test_a_setting_of_a_job_behind_an_ancient_input_is_compared(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    assert snakemake(tmp_path) == {"graph", "interface"}
    assert snakemake(tmp_path, "-n", meaning=2) == {"interface"}
    assert snakemake(tmp_path, "-n", of_both=2) == {"graph", "interface"}


def test_an_output_that_is_ancient_for_one_rule_is_compared_for_the_others():
    hooks = Hooks.__new__(Hooks)
    hooks._in_storage = False
    output = _IOFile("results/{model}/samples.json", rule=None)
    (for_one,) = hooks.ancient(output)
    assert for_one == output
    assert (is_flagged(for_one, "ancient"), is_flagged(output, "ancient")) == (True, False)
    assert is_flagged(hooks.ancient(lambda wildcards: ["a"]), "ancient")


def test_the_rules_call_this_ancient():
    text = (REPOSITORY / "rules" / "before_config.smk").read_text(encoding="utf-8")
    assert "\nprogram, expand, ancient = hooks.program, hooks.expand, hooks.ancient\n" in text
