"""What the history says of the versions that are live: this one, another one, or none."""

from dataclasses import dataclass

from slipway.history.file import History
from slipway.history.lines import ROLLED_BACK, UNDEPLOYED, Deployment
from slipway.report.formats import moment
from slipway.report.measurements import Target

LIVE, ANOTHER, NOT = "yes", "open", "no"


@dataclass(frozen=True)
class Liveness:
    """Whether the chosen configuration of a target is live. `since` is a time in ISO 8601, None if nothing is live."""

    state: str
    words: str
    since: str | None = None


def liveness(target: Target, history: History) -> Liveness:
    """Return what the last deployments say. A server that died since is not known here: `snakemake status` asks it."""
    latest = {each.platform: each for each in history.deployments}  # they are in the order of their times
    own = [platform for platform, last in latest.items() if _serves(last, target)]
    if own:
        since = min(_since(history, platform, target) for platform in own)
        return Liveness(LIVE, f"live since {moment(since)} ({' and '.join(map(_place, own))})", since)
    others = [last for last in latest.values() if target.name in last.targets]
    if others:
        last = max(others, key=lambda each: each.when)
        how = "rolled back to" if last.action == ROLLED_BACK else "live is"
        words = f"not live: {how} another version since {moment(last.when)} ({_place(last.platform)})"
        return Liveness(ANOTHER, words, last.when)
    ended = [last.when for last in latest.values() if last.action == UNDEPLOYED]
    return Liveness(NOT, f"not live: taken out of service on {moment(max(ended))}" if ended else "not live")


def _place(platform: str) -> str:
    return "on this machine" if platform == "local" else platform


def _serves(deployment: Deployment, target: Target) -> bool:
    return deployment.targets.get(target.name, {}).get("selection") == target.selection_sha256


def _since(history: History, platform: str, target: Target) -> str:
    """Return the time of the first of the last deployments in a row that serve what was chosen."""
    since = ""
    for each in (each for each in history.deployments if each.platform == platform):
        since = (since or each.when) if _serves(each, target) else ""
    return since
