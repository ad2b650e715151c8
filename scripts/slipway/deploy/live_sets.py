"""The sets of model versions that were live together, so that a rollback serves such a set again."""

from pathlib import Path

from slipway.deploy.ledger import Ledger

# The versions that were live at one time: {name of a model: its version}.
Versions = dict[str, int]


class LiveSets:
    """The sets of versions that were live on this machine, without duplicates, latest last. The ledger has them."""

    def __init__(self, file: Path) -> None:
        self._ledger = Ledger(file)

    def read(self) -> list[Versions]:
        """Return all sets, the oldest first."""
        return self._ledger.read()["live"]

    def live(self) -> Versions:
        """Return the set that became live last; {} before the first time."""
        return (self.read() or [{}])[-1]

    def went_live(self, versions: Versions, **changes: object) -> None:
        """Record that these versions are proven and live, together with other `changes` of the record."""
        earlier = [each for each in self.read() if each != versions]
        self._ledger.write(live=[*earlier, versions], **changes)

    def rolled_back(self, versions: Versions, live: Versions | None = None, **changes: object) -> None:
        """Record a rollback: no later rollback takes the `versions` until they are deployed again.

        `live` are the versions that are live now. `changes` are other changes of the record.
        """
        history = [each for each in self.read() if _only(each, versions) != versions]
        now = [*(each for each in history if each != live), live] if live else history
        self._ledger.write(live=now, **changes)

    def before(self, versions: Versions) -> Versions | None:
        """Return the versions of these models that were live before `versions`; None if that is unknown."""
        for each in reversed(self.read()):
            numbers = _only(each, versions)
            if numbers and numbers != versions:
                return numbers
        return None

    def last_of(self, name: str, count: int | None = None) -> list[int]:
        """Return the last `count` versions of a model that were live; all by default."""
        newest_first = dict.fromkeys(each[name] for each in reversed(self.read()) if name in each)
        return list(newest_first)[:count]

    def without_others(self, name: str, numbers: list[int]) -> list[Versions]:
        """Return the sets without a version of this model that is not in `numbers`; that one will be removed."""
        return [each for each in self.read() if each.get(name) in (None, *numbers)]


def _only(live: Versions, models: Versions) -> Versions:
    """Return the {model: version} entries of `live` whose model is also in `models`."""
    return {name: number for name, number in live.items() if name in models}
