"""A page shows the history as it is: planning sees whether it does, and a deployment writes it anew."""

from pathlib import Path

import pytest
from helpers.artifacts import reported, runs

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.deploy.report_pages import refresh_pages
from slipway.history.changes import ended, went_live
from slipway.history.file import append
from slipway.keys.file_hash_cache import FileHashCache
from slipway.report.index import write_index
from slipway.report.page import write_page
from slipway.report.recipe import Recipe, edition, is_current, recipe_of
from slipway.snakemake_hooks.records import ArtifactRecords

RECIPE = Recipe(reported.ENGINES, reported.VARIANTS, True)


@pytest.fixture
def page(tmp_path):
    folder = reported.write_records(tmp_path / "results")
    write_page(folder, folder / "report.html", RECIPE)
    return folder / "report.html"


def deploy(page, when="2026-01-29T12:03:00+00:00"):
    """Record in the history beside a page that what was chosen for the CPU went live."""
    line = runs.run(1)
    line["targets"]["cpu"]["records"]["selection"] = sha256(page.parent / "cpu" / "selection.json")
    went_live({str(page.parent / "deploy" / "receipt.json"): runs.receipt(line, 1, when)})


def test_a_page_carries_its_recipe(page):
    assert recipe_of(page) == RECIPE
    assert edition(page) == 1
    assert edition(page.with_name("none.html")) == 1


@pytest.mark.parametrize("content", ["", "<html>", '<meta name="slipway-recipe" content="{}">', "\udcff"])
def test_a_page_without_a_recipe_has_the_first_edition(tmp_path, content):
    page = tmp_path / "report.html"
    page.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert recipe_of(page) is None
    assert edition(page) == 1


def test_another_line_of_the_history_makes_the_page_stale_until_it_is_written_again(page):
    deploy(page)
    assert not is_current(page)
    assert edition(page) == 2
    assert edition(page) == 2  # planning alone changes nothing
    write_page(page.parent, page, Recipe(reported.ENGINES, reported.VARIANTS, True, edition(page)))
    assert is_current(page)
    assert edition(page) == 2


def test_a_deployment_writes_the_page_and_the_index_anew_and_nothing_is_stale(page):
    index = page.parents[1] / "index.html"
    write_index(index, [page])
    deploy(page)
    refresh_pages([page.parent])
    for file in (page, index):
        assert "live since 29 January 2026, 12:03 UTC" in file.read_text(encoding="utf-8")
    assert is_current(page)
    assert edition(page) == 1
    assert index.stat().st_mtime_ns >= page.stat().st_mtime_ns
    ended([(page.parent / "deploy" / "receipt.json", {"model": "resnet50", "to": "local"})])
    refresh_pages([page.parent])
    assert "not live: taken out of service" in page.read_text(encoding="utf-8")


def test_a_page_that_a_program_without_snakemake_wrote_anew_is_not_taken_for_edited(page, monkeypatch):
    monkeypatch.chdir(page.parents[2])
    pages = [Path("results/resnet50/report.html"), Path("results/index.html")]
    write_index(pages[1], pages[:1])
    ArtifactRecords(FileHashCache()).remember(map(str, pages))
    deploy(page)
    refresh_pages([Path("results/resnet50")])
    assert "live since" in page.read_text(encoding="utf-8")
    assert ArtifactRecords(FileHashCache()).changed() == {}
    pages[0].write_text("edited", encoding="utf-8")
    assert list(ArtifactRecords(FileHashCache()).changed()) == [str(pages[0])]


def test_a_page_that_shows_the_history_as_it_is_stays_untouched(page):
    before = page.stat().st_mtime_ns
    refresh_pages([page.parent])
    assert page.stat().st_mtime_ns == before


def test_the_page_of_another_model_on_the_same_server_is_written_too(page):
    other = reported.write_records(page.parents[1], "other")
    write_page(other, other / "report.html", RECIPE)
    deploy(other / "report.html")
    refresh_pages([page.parent])
    assert "live since" in (other / "report.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_fails_no_deployment(page, capsys):
    deploy(page)
    before = page.read_bytes()
    (page.parent / "cpu" / "selection.json").unlink()
    refresh_pages([page.parent])
    assert page.read_bytes() == before
    assert "report.html still shows the previous live version" in capsys.readouterr().err
    assert edition(page) == 2


@pytest.mark.parametrize("name", ["reference_outputs.json", "resnet50.fp16.onnx.json", "cpu/resnet50.fp32.engine.json"])
def test_a_page_shows_no_new_checkpoint_beside_figures_of_the_one_before(page, capsys, name):
    """A run with another checkpoint fetched its weights, and then failed; what was live is taken out of service."""
    record = page.parent / name
    write_json(record, read_json(record) | {"weights_sha256": "17a0" * 16})
    deploy(page)
    refresh_pages([page.parent])
    before = page.read_bytes()
    assert b"live since" in before
    weights, accuracy = page.with_name("weights.json"), page.with_name("accuracy.json")
    write_json(weights, read_json(weights) | {"sha256": "28b1" * 16})
    write_json(accuracy, read_json(accuracy) | {"weights_sha256": "28b1" * 16})
    ended([(page.parent / "deploy" / "receipt.json", {"model": "resnet50", "to": "local"})])
    refresh_pages([page.parent])
    assert page.read_bytes() == before
    assert "of another checkpoint" in capsys.readouterr().err
    assert not is_current(page)


def test_a_line_that_is_appended_while_the_page_is_written_is_shown(page, monkeypatch):
    from slipway.report import page as page_module

    write_text, lines = page_module.write_text, []

    def append_once(*arguments):
        write_text(*arguments)
        if not lines:
            lines.append(runs.run(2))
            append(page.with_name("history.jsonl"), lines[0])

    monkeypatch.setattr(page_module, "write_text", append_once)
    write_page(page.parent, page, RECIPE)
    assert is_current(page)
    assert f"r{lines[0]['key'][:12]}" in page.read_text(encoding="utf-8")


def test_the_trend_has_each_run_with_its_deployments(page):
    history = page.with_name("history.jsonl")
    weeks = [runs.run(number, f"2026-11-{day:02}T09:00:00Z", ms) for number, day, ms in ((1, 8, 12.0), (2, 15, 11.0))]
    for line in weeks:
        append(history, line)
    went_live({str(page.parent / "deploy" / "receipt.json"): runs.receipt(weeks[0], 1, "2026-11-08T10:00:00+00:00")})
    back = runs.receipt(weeks[0], 2, "2026-11-16T10:00:00+00:00", rolled_back_from=1)
    went_live({str(page.parent / "deploy" / "receipt.json"): back})
    write_page(page.parent, page, RECIPE)
    text = page.read_text(encoding="utf-8")
    for shown in (
        "Latency at batch 1",
        f"r{weeks[0]['key'][:12]}, 8 November 2026, 09:00 UTC: 12 ms",
        f"r{weeks[1]['key'][:12]}, 15 November 2026, 09:00 UTC: 11 ms",
        "deployed: 8 November 2026, 10:00 UTC",
        "rolled back to this: 16 November 2026, 10:00 UTC",
    ):
        assert shown in text
    # Of each figure: latency and throughput, size, top-1 and agreement, and three under load.
    assert text.count('class="event deployed"') == text.count('class="event rolled_back"') == 8
    names = ("Latency at batch 1", "Size", "Top-1 accuracy", "Throughput under load", "P99 under load")
    names += ("Memory under load", "Throughput at batch 1", "Agreement with the model")
    places = [text.index(f"<h4>{name}</h4>") for name in names]
    assert places == sorted(places)
