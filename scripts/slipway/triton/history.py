"""Which versions of the models were live together, so that a step back serves again what was served before."""

from pathlib import Path

from slipway.triton.ledger import Ledger

# The versions that are live at one time: {name of a model: its version}.
Versions = dict[str, int]


class History:
    """What was live on this machine, each once, in the order in which it last became so; kept in the store's record."""

    def __init__(self, file: Path) -> None:
        self._ledger = Ledger(file)

    def read(self) -> list[Versions]:
        """Return all of it, the oldest first."""
        return self._ledger.read()["live"]

    def live(self) -> Versions:
        """Return what became live last; {} before the first time."""
        return (self.read() or [{}])[-1]

    def went_live(self, versions: Versions, **changes: object) -> None:
        """Write down what was proven and is live now, and with it other `changes` of the record."""
        self._write([*self._without(versions), versions], **changes)

    def withdraw(self, versions: Versions, live: Versions | None = None, **changes: object) -> None:
        """Write down what was rolled back: it is not gone back to, until it is deployed again.

        `live` is what is live now, and `changes` are others of the record.
        """
        history = [each for each in self.read() if _only(each, versions) != versions]
        self._write([*(each for each in history if each != live), live] if live else history, **changes)

    def before(self, versions: Versions) -> Versions | None:
        """Return what was live of these models before these versions; None where nothing is known of it."""
        for each in reversed(self.read()):
            told = _only(each, versions)
            if told and told != versions:
                return told
        return None

    def last_of(self, name: str, count: int | None = None) -> list[int]:
        """Return the versions of a model that were live last, so many of them; all by default."""
        newest_first = dict.fromkeys(each[name] for each in reversed(self.read()) if name in each)
        return list(newest_first)[:count]

    def without_others(self, name: str, numbers: list[int]) -> list[Versions]:
        """Return what was live without what had another version of a model, which is to be removed."""
        return [each for each in self.read() if each.get(name) in (None, *numbers)]

    def _without(self, versions: Versions) -> list[Versions]:
        return [each for each in self.read() if each != versions]

    def _write(self, history: list[Versions], **changes: object) -> None:
        self._ledger.write(live=history, **changes)


def _only(live: Versions, models: Versions) -> Versions:
    """Return what was live of some models."""
    return {name: number for name, number in live.items() if name in models}
