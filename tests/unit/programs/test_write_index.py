"""The index links the report of each model, with its verdict and its figures."""

import pytest
from helpers.artifacts import reported

from slipway.core.errors import SlipwayError
from slipway.report.page import write_page
from slipway.report.recipe import Recipe, pages_of_index
from write_index import main, parse_arguments


def write(results, *models):
    """Write the index of models in a folder of results; return its text."""
    output = results / "index.html"
    main(parse_arguments(["--folder", str(results), "--models", *models, "--output", str(output)]))
    return output.read_text(encoding="utf-8")


@pytest.fixture
def results(tmp_path):
    for model in ("resnet50", "other"):
        folder = reported.write_records(tmp_path, model)
        write_page(folder, folder / "report.html", Recipe(reported.ENGINES, reported.VARIANTS, True))
    return tmp_path


def test_each_model_is_linked_with_its_targets_and_figures(results):
    text = write(results, "resnet50", "other")
    assert 'href="resnet50/report.html"' in text
    assert 'href="other/report.html"' in text
    assert text.count("<strong>1,234/s</strong>") == 4  # two targets of each
    assert text.count("accuracy kept (84.8% against 85.2%, within the noise)") == 2
    assert "<title>Slipway: 2 models</title>" in text
    sides = text[text.index("side by side") : text.index("<section>")]
    assert sides.count("<td>4 times as fast as PyTorch</td>") == 4
    assert sides.count("<td>84.8% top-1 accuracy</td>") == 2
    assert sides.count('<a href="other/report.html">other</a></td><td>l4</td><td>int8</td><td>1.00 ms</td>') == 1
    assert pages_of_index(results / "index.html") == ["resnet50", "other"]


def test_a_model_that_was_removed_vanishes(results):
    write(results, "resnet50", "other")
    text = write(results, "other")
    assert "resnet50/" not in text
    assert "<title>Slipway: 1 model</title>" in text


def test_a_missing_page_is_named_and_the_old_index_stays(results):
    write(results, "resnet50")
    before = (results / "index.html").read_bytes()
    with pytest.raises(SlipwayError, match=r"absent/report\.html is missing or of an earlier version"):
        write(results, "resnet50", "absent")
    assert (results / "index.html").read_bytes() == before
