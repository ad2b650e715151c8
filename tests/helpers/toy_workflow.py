"""A workflow of toy rules under the real hooks of rules/hooks.smk, which shows in seconds how a run ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from helpers.patience import PATIENCE_S
from helpers.workplace import REPOSITORY, Outcome

# One output, several, and a folder beside a file; `used` is made from all of them.
OUTPUTS = {
    "one": ["results/one.txt"],
    "several": ["results/first.txt", "results/second.txt"],
    "folder": ["results/folder", "results/folder.json"],
}
SNAKEFILE = """
include: "rules/before_config.smk"
configfile: "config.yaml"

include: "rules/hooks.smk"

rule used:
    input: ancient("results/folder"), "results/one.txt", "results/second.txt", "results/folder.json"
    output: update("results/used.txt")
    log: "logs/used.log"
    shell: "python scripts/use.py --inputs {input} --output {output} --log {log}"
"""
RULE = """
rule {name}:
    output: {outputs}
    params: settings=config["text"]
    shell: "python scripts/make.py {{params.settings}} {{output}}"
"""
PROGRAM = """
# Write a text to each output; with one that ends in "!", do not come to an end after the first.
import os, pathlib, sys, time
text, *outputs = sys.argv[1:]
for number, output in enumerate(map(pathlib.Path, outputs)):
    if number and text.endswith("!"):
        break
    if output.suffix:
        output.write_text(text)
    else:
        output.mkdir(exist_ok=True)
        (output / "content").write_text(text)
if os.environ.get("SPOILS") and outputs == ["results/first.txt", "results/second.txt"]:
    pathlib.Path("results/one.txt").write_text("spoiled")
first = pathlib.Path(outputs[0]).stem
if text == "fails!" or first in os.environ.get("FAILS", "").split():
    sys.exit(1)
if text == "hangs!" or first in os.environ.get("HANGS", "").split():
    pathlib.Path(f"hangs.{first}").touch()
    time.sleep(600)
"""
USE = """
# Join texts, as a program of Slipway's.
from pathlib import Path
from slipway.core import cli

def main(arguments):
    files = [path / "content" if path.is_dir() else path for path in arguments.inputs]
    arguments.output.write_text(" ".join(path.read_text() for path in files))

options = cli.parser("Join texts.")
options.add_argument("--inputs", nargs="+", type=Path)
options.add_argument("--output", type=Path)
cli.run(main, options.parse_args())
"""
STATUS = """
rule status:
    input: ancient("scripts/make.py")
    shell: "echo all is well"
"""


@dataclass
class ToyWorkflow:
    """A folder with the toy workflow, made once with the text `good`."""

    folder: Path

    def make(self):
        """Write the workflow, and make everything with it."""
        (self.folder / "rules").symlink_to(REPOSITORY / "rules")
        (self.folder / "scripts").mkdir()
        (self.folder / "scripts/slipway").symlink_to(REPOSITORY / "scripts/slipway")
        (self.folder / "scripts/make.py").write_text(PROGRAM)
        (self.folder / "scripts/use.py").write_text(USE)
        rules = [RULE.format(name=name, outputs=", ".join(map(_update, files))) for name, files in OUTPUTS.items()]
        (self.folder / "Snakefile").write_text("\n".join([SNAKEFILE, *rules, STATUS]))
        self.configure("good")
        assert self.run("used").code == 0
        return self

    def copied(self, folder):
        """Return a copy of this workflow, with all times kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return ToyWorkflow(folder)

    def configure(self, text):
        """Let the outputs hold another text; with "fails!" or "hangs!" they never come to hold it."""
        (self.folder / "config.yaml").write_text(f"text: {text}\n")

    def run(self, *targets, **environment):
        """Run Snakemake to its end."""
        with self.started(*targets, **environment) as process:
            said, _ = process.communicate(timeout=PATIENCE_S)
            return Outcome(process.returncode, said)

    @contextlib.contextmanager
    def started(self, *targets, **environment):
        """Yield a running Snakemake, whose process group it leads; kill whatever is left of it."""
        command = [Path(sys.executable).with_name("snakemake"), "--cores", "3", "--keep-going", *targets]
        process = subprocess.Popen(
            [*command, "--profile", REPOSITORY / "profiles/default"],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=PATIENCE_S)

    def hanging(self, process, *rules):
        """Return once the programs of these rules hang, each with its first output written."""
        wanted = [self.folder / f"hangs.{Path(OUTPUTS[rule][0]).stem}" for rule in rules]
        self.until(lambda: all(path.exists() for path in wanted), process)
        for path in wanted:
            path.unlink()

    def until(self, condition, process):
        """Return once a condition holds; fail when the workflow ends before."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert process.poll() is None, f"it ended too soon:\n{process.stdout.read()}"
            assert time.monotonic() < deadline, "it never came to that"
            time.sleep(0.05)

    def programs(self):
        """Return the processes of the toy program that run in this folder."""
        return [process for process in psutil.process_iter() if self._runs(process)]

    def contents(self):
        """Return {path: text} of everything that was made."""
        files = [path for path in (self.folder / "results").rglob("*") if path.is_file()]
        return {
            path.relative_to(self.folder).as_posix(): path.read_text()
            for path in sorted(files)
            if ".provenance" not in path.parts and path.name != ".snakemake_timestamp"
        }

    def planned(self):
        """Return the rules whose jobs a dry run announces, and everything that it said."""
        said = self.run("-n", "used").succeeded().said
        return {rule for rule in (*OUTPUTS, "used") if f"rule {rule}:" in said}, said

    def _runs(self, process):
        try:
            return process.cwd() == str(self.folder) and "scripts/make.py" in process.cmdline()
        except psutil.Error:
            return False


def _update(name):
    return f'update("{name}")' if Path(name).suffix else f'update(directory("{name}"))'
