"""The key of a job: its settings, versions and code as one value. A changed key makes the job stale."""

import shlex
from functools import cached_property

CODE = "code"


class JobKey(dict):
    """The key of one job, {option: value}, joined from dicts. As text, it is a list of command-line options.

    {"batch_sizes": [1, 8], "seconds": 4} becomes "--batch-sizes 1 8 --seconds=4". A value None gives no option. True
    and False become --name and --no-name. The entry "code", {file: SHA-256}, becomes no option: the program that runs
    is this code.

    Snakemake stores repr() of the key, and reruns the job when this text changes. So repr() is sorted and has all
    entries.
    """

    def __init__(self, *parts: dict, **settings: object) -> None:
        super().__init__()
        code: dict[str, str] = {}
        for part in (*parts, settings):
            self.update(part)
            code |= part.get(CODE, {})
        if code:
            self[CODE] = code

    def __str__(self) -> str:
        return self._options

    @cached_property
    def _options(self) -> str:  # Snakemake uses the text three times for each job
        return shlex.join(word for name in sorted(self) if name != CODE for word in _option(name, self[name]))

    def __repr__(self) -> str:
        return repr({name: self[name] for name in sorted(self)})


def _option(name: str, value: object) -> list[str]:
    flag = name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    if isinstance(value, list | tuple):
        return [f"--{flag}", *map(str, value)]
    return [f"--{flag}={value}"]  # one word, since a value may start with a dash
