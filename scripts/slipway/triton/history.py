"""Which versions of the models were live together, so that a step back serves again what was served before."""

from pathlib import Path

from slipway.artifacts import read_json, write_json

# The versions that are live at one time: {name of a model: its version}.
Versions = dict[str, int]


class History:
    """What was live on this machine, each once, in the order in which it last became so; kept in one file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> list[Versions]:
        """Return all of it, the oldest first."""
        return read_json(self._file)["live"] if self._file.is_file() else []

    def live(self) -> Versions:
        """Return what became live last; {} before the first time."""
        return (self.read() or [{}])[-1]

    def went_live(self, versions: Versions) -> None:
        """Write down what was proven and is live now."""
        self._write([*self._without(versions), versions])

    def withdraw(self, versions: Versions) -> None:
        """Write down what was rolled back: it is not gone back to, until it is deployed again."""
        self._write(self._without(versions))

    def before(self, versions: Versions) -> Versions | None:
        """Return what was live of these models before these versions; None where nothing is known of it."""
        for each in reversed(self.read()):
            told = {name: number for name, number in each.items() if name in versions}
            if told and told != versions:
                return told
        return None

    def last_of(self, name: str, count: int) -> list[int]:
        """Return the versions of a model that were live last, so many of them."""
        newest_first = dict.fromkeys(each[name] for each in reversed(self.read()) if name in each)
        return list(newest_first)[:count]

    def forget_all_but(self, name: str, numbers: list[int]) -> None:
        """Forget what was live with another version of a model, which is removed and whose number is given again."""
        self._write([each for each in self.read() if each.get(name) in (None, *numbers)])

    def _without(self, versions: Versions) -> list[Versions]:
        return [each for each in self.read() if each != versions]

    def _write(self, history: list[Versions]) -> None:
        write_json(self._file, {"live": history})
