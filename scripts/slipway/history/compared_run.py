"""Find the run to compare with: the last run that was live, or the run with a given name.

A run is one measurement of a model, a line of its history. It was live if a deployment served the configuration that
the run chose.
"""

from dataclasses import dataclass

from slipway.core.errors import SlipwayError
from slipway.history.file import History
from slipway.history.lines import Deployment, Run


@dataclass(frozen=True)
class ComparedRun:
    """The run to compare with on one target (a kind of GPU or CPU), and the deployment that made this run live.

    `deployment` is None if the user named the run. If there is no run to compare with, `run` is None, and `why_not` has
    the reason.
    """

    run: Run | None
    deployment: Deployment | None = None
    why_not: str = ""


def last_live(history: History, now: Run, platform: str, target: str) -> ComparedRun:
    """Return the run, other than the present run `now`, that was live last on a platform for a target.

    `platform` is a value of `deploy.to`, such as "local". If there is no such run, `run` of the result is None, and
    `why_not` has the reason.
    """
    deployments = history.live(platform, target)
    for deployment in reversed(deployments):
        run = history.run_of(deployment, target)
        if run is None:
            why_not = f"the history has no run of the version that was deployed at {deployment.when}"
            return ComparedRun(None, deployment, why_not)
        if run.key != now.key and target in run.targets:
            return ComparedRun(run, deployment)
    return ComparedRun(None, why_not=f"{'no other run' if deployments else 'none'} was live on {platform}")


def named(history: History, name: str) -> Run:
    """Return the run that the user named by its name, such as r0123456789ab, by the beginning of it, or by its number.

    The first run has the number 1. Raises SlipwayError if no run or several runs match.
    """
    if name.isdecimal() and 1 <= int(name) <= len(history.runs):
        return history.runs[int(name) - 1]
    runs = [run for run in history.runs if len(name) > 1 and run.name.startswith(name)]
    if len(runs) != 1:
        known = ", ".join(f"{number}: {run.name} of {run.when}" for number, run in enumerate(history.runs, 1))
        raise SlipwayError(
            f"compare={name}: {'several runs have' if runs else 'no run has'} this name; the history has "
            f"{known or 'no run'}"
        )
    return runs[0]


def live_version(history: History, platform: str, target: str) -> str | None:
    """Return the version in the model repository that a platform serves now for a target; None if it serves none.

    `platform` is a value of `deploy.to`, such as "local".
    """
    last = [change for change in history.deployments if change.platform == platform][-1:]
    return next((change.targets[target]["version"] for change in last if target in change.targets), None)
