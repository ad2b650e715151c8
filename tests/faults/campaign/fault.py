"""What a fault is: something that happens in a scene, with a name that reads as what happens to the user."""

from collections.abc import Callable
from dataclasses import dataclass

FAULTS: list["Fault"] = []


class NotHere(Exception):
    """This machine cannot do what a fault needs, such as mounting a file system."""


@dataclass(frozen=True)
class Fault:
    """Something that happens: `happen(scene)` does it, and requires what has to hold before the next deployment."""

    kind: str
    name: str
    happen: Callable

    def __str__(self):
        return f"{self.kind}: {self.name}"


def fault(happen):
    """Add a function to the campaign."""
    FAULTS.append(Fault(_kind(happen), _name(happen), happen))
    return happen


def faults(cases):
    """Add a function to the campaign once for each case, {how it is called: the value that is passed on}."""

    def add(happen):
        for case, value in cases.items():
            FAULTS.append(Fault(_kind(happen), f"{_name(happen)} ({case})", _with(happen, value)))
        return happen

    return add


def _with(happen, value):
    return lambda scene: happen(scene, value)


def _kind(happen):
    return happen.__module__.rpartition(".")[2]


def _name(happen):
    return happen.__name__.replace("_", " ").strip()
