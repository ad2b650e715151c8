"""A changed setting is noticed although a job before it runs, too; and an `ancient` input triggers nothing."""

import re
import subprocess
import sys
from pathlib import Path

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
