"""The guard of a deployment: it refuses a regression before anything is switched, unless this one run was accepted."""

import json

import pytest
from helpers.artifacts import runs

from slipway.core.artifacts import write_json
from slipway.core.errors import SlipwayError
from slipway.history import changes
from slipway.history.file import append
from slipway.history.guard import require_no_regression

FIRST = runs.run(1)
SLOW = runs.run(2, "2026-01-12T09:00:00Z", latency_ms=51.0)


@pytest.fixture
def folder(tmp_path):
    """Return results/tiny, where the first run is live."""
    found = tmp_path / "tiny"
    append(found / "history.jsonl", FIRST)
    changes.went_live({str(found / "deploy" / "receipt.json"): runs.receipt(FIRST, 1)})
    return found


def deploy(folder, line, number=2, to="local", **regression):
    """Ask the guard about the repository of a run."""
    append(folder / "history.jsonl", line)
    write_json(folder / "run.json", {"origin": "checkpoint", "recording": 1, "line": line})
    require_no_regression(folder, to, {"cpu": f"v{number:012x}"}, json.dumps({"latency": 0.1, **regression}))


def name_of(line):
    return f"r{line['key'][:12]}"


def test_a_regression_is_refused_and_told_by_how_much(folder):
    with pytest.raises(SlipwayError) as refused:
        deploy(folder, SLOW)
    told = str(refused.value)
    assert "10 ms (9.8 to 10.2) -> 51 ms (49.98 to 52.02): +410.0 %, where it may rise by 10 %" in told
    assert "Nothing was changed" in told
    assert f"accept: [{name_of(SLOW)}]" in told
    assert "measure again" not in told


def test_an_accepted_run_is_deployed_and_the_next_one_is_not(folder, capsys):
    deploy(folder, SLOW, accept=[name_of(SLOW)])
    assert "which `regression.accept` allows" in capsys.readouterr().err
    following = runs.run(3, "2026-01-19T09:00:00Z", latency_ms=52.0)
    with pytest.raises(SlipwayError, match="is worse than what was live"):
        deploy(folder, following, accept=[name_of(SLOW)])


def test_a_disturbed_measurement_beyond_the_limit_is_refused_as_no_proof(folder):
    with pytest.raises(SlipwayError, match="proves no regression") as refused:
        deploy(folder, runs.run(2, "2026-01-12T09:00:00Z", latency_ms=51.0, verdict="disturbed"))
    assert "measure again on a quiet machine" in str(refused.value)


def test_a_disturbed_measurement_within_the_limit_is_deployed_and_proves_nothing(folder, capsys):
    deploy(folder, runs.run(2, "2026-01-12T09:00:00Z", latency_ms=10.1, verdict="disturbed"))
    assert "so it proves nothing" in capsys.readouterr().err


def test_other_hardware_is_deployed_and_said(folder, capsys):
    deploy(folder, runs.run(2, "2026-01-12T09:00:00Z", latency_ms=51.0, targets__cpu__hardware="another CPU"))
    assert "not compared, other hardware (AMD EPYC" in capsys.readouterr().err


def test_the_first_deployment_to_a_platform_has_nothing_to_be_compared_with(folder, capsys):
    deploy(folder, SLOW, to="kubernetes")
    assert "none was live on kubernetes" in capsys.readouterr().err


def test_what_is_live_already_is_started_again_whatever_it_is_worth(folder):
    append(folder / "history.jsonl", SLOW)
    receipt = runs.receipt(SLOW, 2, "2026-01-12T10:00:00+00:00")
    changes.went_live({str(folder / "deploy" / "receipt.json"): receipt})
    deploy(folder, SLOW, number=2)
    changes.ended([(folder / "deploy" / "receipt.json", receipt)])
    with pytest.raises(SlipwayError, match="is not deployed"):
        deploy(folder, SLOW, number=2)


def test_without_limits_no_record_is_needed(tmp_path):
    require_no_regression(tmp_path / "tiny", "local", {"cpu": "v1"}, '{"latency": null, "accept": []}')


def test_a_limit_without_a_record_of_the_run_is_refused(folder):
    with pytest.raises(SlipwayError, match=r"run\.json is missing or damaged"):
        require_no_regression(folder, "local", {"cpu": "v2"}, '{"latency": 0.1}')


def test_a_damaged_history_is_refused(folder):
    with (folder / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "deployment"}\n')
    with pytest.raises(SlipwayError, match=r"line 3: .* Nothing was changed"):
        deploy(folder, SLOW)
