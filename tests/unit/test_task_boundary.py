"""Only the classification task speaks of photographs and classes; everything else is about tensors of any model."""

import re

import pytest
from helpers.workplace import REPOSITORY

# The task's package, and programs that are its own.
TASK = ("scripts/slipway/classification/", "scripts/predict.py")
PACKAGE = "scripts/slipway/"
# Names, not sentences: strings of one word (keys of records and config.yaml), options, attributes, arguments.
NAMES = re.compile(r"""(["'`])[\w.\-<>{}/]*\1|--[\w-]+|\b\w+(?:\.\w+)+|\b\w+=(?=[^=\s])|data:image""")
MEANINGS = f"{PACKAGE}outputs/meaning.py"  # class scores are one of the meanings that an output may have
KEYS = f"{PACKAGE}keys/"  # config.yaml has the settings of the task: photographs, preprocessing, labels
TOOLS = ("scripts/tools/measure", f"{PACKAGE}tools/")  # they measure examples, which are classifiers
PICTURES = "scripts/tools/draw_pictures.py"  # it draws README's, whose example is a classifier
# They write such settings for a checkpoint.
ENTRIES = (
    "scripts/new_model.py",
    *(f"{PACKAGE}models/{name}" for name in ("describing.py", "recognition.py", "entry.yaml.j2", "findings.txt.j2")),
)
# Where an image is one of containers.
CONTAINERS = (
    *(f"{PACKAGE}{name}" for name in ("manifests/", "deploy/", "cluster/", "triton/server/", "snakemake_hooks/")),
    *(f"{PACKAGE}core/job_preconditions.py", "scripts/load_test.py", "scripts/write_manifests.py"),
)
# Where a label is one of Kubernetes, Prometheus or a chart, or in Triton's file of them, labels.txt.
LABELS = (
    *(f"{PACKAGE}{name}" for name in ("manifests/", "deploy/", "cluster/", "monitoring/", "triton/")),
    *(f"{PACKAGE}report/{name}.py" for name in ("charts", "bar_charts", "xy_chart", "load_test_charts")),
    *("scripts/write_repository.py", "rules/", f"{PACKAGE}snakemake_hooks/hooks.py", "scripts/tools/draw_rulegraph.py"),
)
# Words of the task, and the files in which they may stand.
WORDS = {
    r"photo(?:graph)?s?|pictures?|crops?|logits?|class[ -]scores?": (MEANINGS, KEYS, *TOOLS, PICTURES, *ENTRIES),
    r"images?": (*CONTAINERS, KEYS, *TOOLS, PICTURES),
    r"labels?|labelled": (*LABELS, MEANINGS, KEYS, *TOOLS, *ENTRIES),
    r"classes|class (?:names?|ind(?:ex|ices))": (MEANINGS, KEYS, *ENTRIES),
}
IMPORT = re.compile(r"^\s*(?:from|import) slipway\.classification\b", re.MULTILINE)
SUFFIXES = (".py", ".smk", ".j2", "")


def sources():
    """Return the workflow's files, without those of the task."""
    files = [REPOSITORY / "Snakefile", *(REPOSITORY / "rules").glob("*.smk")]
    files += [path for path in (REPOSITORY / "scripts").rglob("*") if path.suffix in SUFFIXES and path.is_file()]
    named = {path.relative_to(REPOSITORY).as_posix(): path for path in sorted(files) if "__pycache__" not in path.parts}
    return {name: path for name, path in named.items() if not name.startswith(TASK)}


def found(word, path):
    """Return the lines of a file that have the word, outside of names."""
    pattern = re.compile(rf"(?<![\w-])(?:{word})(?![\w-])", re.IGNORECASE)
    lines = path.read_text(encoding="utf-8").splitlines()
    return [f"{number}: {line.strip()}" for number, line in enumerate(lines, 1) if pattern.search(NAMES.sub("", line))]


@pytest.mark.parametrize("word", WORDS)
def test_only_the_task_speaks_of_it(word):
    hits = [
        f"{name}:{line}"
        for name, path in sources().items()
        if not name.startswith(tuple(WORDS[word]))
        for line in found(word, path)
    ]
    assert hits == []


def test_the_places_that_call_the_task_are_those_of_the_page():
    """`predict` is the task's own program, and tools measure examples."""
    page = (REPOSITORY / "docs/CONTRIBUTING.md").read_text(encoding="utf-8").split("## Adding a task")[1]
    named = re.findall(r"`([\w/]+\.py)`", page.partition("| --- | --- |")[2])
    called = [
        name.removeprefix(PACKAGE)
        for name, path in sources().items()
        if IMPORT.search(path.read_text(encoding="utf-8")) and "/tools/" not in name
    ]
    assert sorted(named) == sorted([*called, "scripts/predict.py"])
