"""Which version a rollback elsewhere goes back to."""

import pytest

from rollback_remote import main, parse_arguments, version_before
from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.deploy.release_history import ReleaseHistory


def kept(results, live, *proven, rolled_back=None):
    """Return what is kept of a model: versions that were proven, `rolled_back` as {version: the one it replaced}."""
    folder = results / "deploy" / "kubernetes"
    for number in proven:
        back = (rolled_back or {}).get(number)
        write_json(folder / str(number) / "receipt.json", {"number": number, "rolled_back_from": back})
    write_json(results / "deploy" / "receipt.kubernetes.json", {"number": live, "served_as": f"{results.name}_trt"})
    return ReleaseHistory(results, "kubernetes")


def test_the_newest_older_version_is_gone_back_to(tmp_path):
    assert version_before(kept(tmp_path, 3, 1, 2, 3), "kubernetes") == 2


def test_a_version_that_was_rolled_back_is_not_gone_back_to(tmp_path):
    assert version_before(kept(tmp_path, 3, 1, 2, 3, rolled_back={1: 2}), "kubernetes") == 1


def test_a_model_without_an_older_version_keeps_every_other_where_it_is(tmp_path):
    kept(tmp_path / "first", 2, 1, 2)
    kept(tmp_path / "second", 1, 1)
    options = ["--to", "kubernetes", "--results", str(tmp_path / "first"), str(tmp_path / "second")]
    with pytest.raises(SlipwayError, match=r"second_trt has no version before 1 .*Nothing was changed"):
        main(parse_arguments(options))


def test_after_a_deployment_that_was_killed_what_was_live_before_it_is_gone_back_to(tmp_path):
    found = kept(tmp_path, 2, 1, 2)
    write_json(found.folder / "begun.json", {"number": 3, "before": {}})
    assert version_before(found, "kubernetes") == 2
    write_json(found.folder / "begun.json", {"number": 2, "before": {}})
    assert version_before(found, "kubernetes") == 1, "it came as far as its receipt"
