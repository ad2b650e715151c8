"""Compare a new engine with the existing engine: outputs of the new engine, and speeds of the two engines."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from .batching import Tensors
from .device import open_device
from .measuring import times_in_turns, warmed
from .runner import Engine

ROUNDS, WARM_UP_SECONDS = 6, 0.1


def trial(previous: str | Path, new: str | Path, samples: Sequence[Tensors] | None) -> dict:
    """Run the new engine on samples, and time both engines in turns. Return {"outputs", "speed"}.

    "outputs" is a list of {output: array}, the new engine's outputs for each of `samples`; None without samples.
    "speed" is a list of {"batch", "previous_ms", "new_ms", "ratio" (new / previous), "graph"}: for batch 1, if a
    profile accepts it, and for the optimal batch of each profile, at the optimal sizes of the other axes. The times are
    medians of one run on the GPU. "graph" says whether the runs were CUDA graphs, which both engines must allow. Raises
    ValueError if an engine cannot run.
    """
    with closing(open_device()) as device:
        # No variable refers to the engines, so they are freed before their device is closed.
        return _tried([Engine(path, device=device) for path in (previous, new)], samples)


def _tried(engines: list[Engine], samples: Sequence[Tensors] | None) -> dict:
    """Return the result of `trial`, {"outputs", "speed"}, for two loaded engines: the previous and the new one."""
    profiles = engines[1].profiles
    batches = {sizes["opt"] for sizes in profiles} | {1 for sizes in profiles if sizes["min"] == 1}
    return {
        "outputs": None if samples is None else [engines[1].infer(sample) for sample in samples],
        "speed": [_side_by_side(engines, batch) for batch in sorted(batches)],
    }


def _side_by_side(engines: list[Engine], batch: int) -> dict:
    """Return one entry of "speed" in `trial`: the times of both engines, [previous, new], at a batch size.

    Runs of the two engines alternate.
    """
    (previous, new), recorded = times_in_turns([warmed(engine, batch, WARM_UP_SECONDS) for engine in engines], ROUNDS)
    return {
        "batch": batch,
        "previous_ms": previous,
        "new_ms": new,
        "ratio": round(new / previous, 4),
        "graph": recorded,
    }
