import re

import pytest
from helpers.workplace import REPOSITORY

from slipway.snakemake_hooks.hooks import in_report

CALL = re.compile(r'in_report\("(results/[^"]+)", "([^"]+)"\)')
RECEIPT = ("results/m/deploy/receipt.json", "Deployment")  # its rule has the path of the platform's receipt
SHOWN = [match for file in REPOSITORY.glob("rules/*.smk") for match in CALL.findall(file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("path", "category"), [*SHOWN, RECEIPT])
def test_each_result_that_the_report_shows_has_a_caption_and_labels(path, category):
    shown = in_report(path, category).flags["report"]
    assert (REPOSITORY / "rules" / shown.caption).is_file()
    assert shown.category == category
    assert set(shown.labels) == {"model", "target", "result"}
    assert shown.labels["target"] == ("{target}" if "{target}" in path else "all")


def test_each_caption_is_of_a_result():
    captions = {
        in_report(path, category).flags["report"].caption.split("/")[-1] for path, category in [*SHOWN, RECEIPT]
    }
    assert captions == {path.name for path in (REPOSITORY / "docs/report").glob("*.rst")}
