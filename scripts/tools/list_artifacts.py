"""Write docs/artifacts.md: a table of artifacts with their rules, programs, keys and tests, and a table of packages.

The key of a job has its settings and code. If the key changes, Snakemake reruns the job.
"""

import argparse
import ast
import inspect
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import write_text
from slipway.core.cli import parser, run
from slipway.core.templates import document
from slipway.keys.config import complete
from slipway.keys.job_key import JobKey
from slipway.keys.job_keys import JobKeys
from slipway.keys.resolved_config import ResolvedConfig
from slipway.tools.snakemake_runs import REPOSITORY, snakemake, write_config

# The configuration whose keys are shown. For each runtime, it has a target with the name of the runtime.
MODEL, PRECISION = "model", "fp16"
GPU = {"hardware": "NVIDIA L4 (compute capability 8.9)", "tensorrt": {"version": "10.13.3.9", "cuda": "12.9"}}
CONFIG: dict[str, Any] = {
    "models": {MODEL: {}},
    "targets": {
        "openvino": {"runtime": "openvino"},
        "onnxruntime": {"runtime": "onnxruntime"},
        "tensorrt": {"runtime": "tensorrt", **GPU},
        "tensorrt_rtx": {"runtime": "tensorrt_rtx", **GPU},
    },
    "deploy": {"to": "kubernetes", "publish": {"to": "claim"}, "signing": {"private_key": "key.pem"}},
}
# Code that is appended to the Snakefile, to write a list of the workflow's rules.
TELL_RULES = 'import json\nPath("rules.json").write_text(json.dumps(hooks.list_rules(resolved.models)))\n'
# {program without a test of its own name: name of the module whose test starts the program}
TESTED_AS = {"tensorrt_worker": "subprocess_engine"}
# {name: method of JobKeys that makes the key of a rule}
KEY_METHODS = {
    name: method
    for name, method in inspect.getmembers(JobKeys, inspect.isfunction)
    if method.__annotations__.get("return") is JobKey
}


@dataclass(frozen=True)
class Rule:
    """A Snakemake rule that runs a program in scripts/. `outputs` are the paths of its artifacts, with wildcards.

    `program` is the program's name without ".py". `key_method` is the name of the method of JobKeys that returns the
    settings with which the rule's job runs; None if the job has no settings.
    """

    name: str
    outputs: tuple[str, ...]
    program: str
    key_method: str | None

    @property
    def test(self) -> Path | None:
        """Return the path of the test with the name of the program or of the rule; None if there is no such test."""
        names = {f"test_{TESTED_AS.get(name, name)}.py" for name in (self.program, self.name)}
        tests = sorted(path for path in (REPOSITORY / "tests").rglob("test_*.py") if path.name in names)
        return tests[0].relative_to(REPOSITORY) if tests else None


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--output", type=Path, default=REPOSITORY / "docs" / "artifacts.md", help="page to write")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write docs/artifacts.md, or the file that --output names."""
    write_text(arguments.output, page(rules()))


def rules() -> list[Rule]:
    """Return the rules that run a program, in the order of the Snakefile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("rules", "scripts", "schemas", "profiles", "envs"):
            (folder / part).symlink_to(REPOSITORY / part)
        write_config(folder, {"models": {MODEL: {}}, "targets": {"cpu": {}}})
        shutil.copy(REPOSITORY / "Snakefile", folder)
        with (folder / "Snakefile").open("a", encoding="utf-8") as snakefile:
            snakefile.write(TELL_RULES)
        snakemake(folder, "--list", snakefile=folder / "Snakefile")
        described = json.loads((folder / "rules.json").read_text(encoding="utf-8"))
    return [
        Rule(rule["name"], tuple(rule["outputs"]), rule["program"], next(filter(KEY_METHODS.get, rule["uses"]), None))
        for rule in described
        if rule["program"]
    ]


@cache
def key_names() -> dict[str, dict[str, list[str]]]:
    """Return {method of JobKeys: {target: sorted names of the settings on which the rule's job depends}}.

    JobKeys has a method for each rule with settings. The targets are those of CONFIG, one for each runtime.
    """
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        configs = [CONFIG, CONFIG | {"deploy": CONFIG["deploy"] | {"to": "local"}}]
        keys = [JobKeys(ResolvedConfig(complete(config))) for config in configs]
        return {
            name: {
                target: sorted(set().union(*(_key_for(method, made_by, target) for made_by in keys)) - {"code"})
                for target in CONFIG["targets"]
            }
            for name, method in KEY_METHODS.items()
        }


def page(rules: list[Rule]) -> str:
    """Return the page docs/artifacts.md as Markdown, with a row for each of `rules` and for each package."""
    package_folder = REPOSITORY / "scripts" / "slipway"
    values = {
        "rules": rules,
        "programs": [Rule("", (), name, None) for name in programs_without_rule(rules)],
        "folder": package_folder,
        "packages": [path for path in sorted(package_folder.glob("*/**/__init__.py")) if first_line(path)],
    }
    template = Path(__file__).with_name("artifacts.md.j2")
    return document(template, values, shown=shown, names_in_key=names_in_key, first_line=first_line)


def programs_without_rule(rules: list[Rule]) -> list[str]:
    """Return the programs in scripts/ that no rule runs, sorted."""
    return sorted({path.stem for path in (REPOSITORY / "scripts").glob("*.py")} - {rule.program for rule in rules})


def first_line(path: Path | str) -> str:
    """Return the first line of a module's docstring; "" if the module has no docstring."""
    code = (REPOSITORY / path).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(code)) or "").partition("\n")[0]


def names_in_key(rule: Rule) -> list[str]:
    """Return the sorted names of the settings on which a rule's jobs depend; a changed setting reruns the job.

    If the rule builds engines of one runtime, only the settings of this runtime's target count.
    """
    by_target = key_names()[rule.key_method or ""]
    runtime = rule.name.removeprefix("build_")
    return by_target[runtime] if runtime in by_target else sorted(set().union(*by_target.values()))


def shown(output: str) -> str:
    """Return the path of a rule's output as the page shows it: below results/, with <name> for each wildcard.

    `output` is the path in Snakemake's notation, such as "results/{model}/contract.json".
    """
    path = re.sub(r"\{(\w+)(,[^}]*)?\}", r"<\1>", output.removeprefix("results/"))
    return re.sub(f"^{MODEL}/", "<model>/", path)


def _key_for(method: Callable[..., JobKey], keys: JobKeys, target: str) -> JobKey:
    wildcards = {"model": MODEL, "target": target, "precision": PRECISION, "variant": PRECISION}
    return method(keys, *(wildcards[name] for name in inspect.signature(method).parameters if name in wildcards))


if __name__ == "__main__":
    run(main, parse_arguments())
