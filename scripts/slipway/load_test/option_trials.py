"""Try options of a native backend. Only an option that was measured to help gets into config.pbtxt.

One server has the model without options, and a second time with each option. These variants take turns for several
rounds, like the subjects of the benchmark. `model_warmup` is tried by the first request after the model was loaded, the
other options by the throughput in a closed loop. An option helps if the interval of its ratio is on the better side of
1.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from slipway.benchmark.rounds import ROUNDS, median_interval
from slipway.core.cli import progress
from slipway.core.errors import SlipwayError
from slipway.load_test.candidates import Candidates, Running
from slipway.load_test.request_rate import Sender
from slipway.triton.client.connection import connect, errors_as
from slipway.triton.client.endpoint import endpoint_of
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_config import Served, ServingOptions
from slipway.triton.server.installation import Installation

WARMUP, GRAPHS, PINNED = "model_warmup", "cuda_graphs", "pinned_memory"
FIRST_REQUEST, THROUGHPUT = "first request (ms)", "throughput in the closed loop (1/s)"
# {option: (name of the figure that it is tried by, whether a larger one is better)}
TRIED_BY = {WARMUP: (FIRST_REQUEST, False), GRAPHS: (THROUGHPUT, True), PINNED: (THROUGHPUT, True)}
# Seconds for a model to be loaded, and for one measurement in the closed loop.
LOADED_S, MEASURED_S = 300.0, 1.0


def options_of(served: Served, server: Installation) -> list[str]:
    """Return the options that the backend has. The Python backend has none: it warms the engine up itself."""
    if not server.native_backends:
        return []
    return [WARMUP, GRAPHS, PINNED] if served.traits.backend == "tensorrt" else [WARMUP]


@dataclass(frozen=True)
class Trial:
    """The trials of one configuration, which end at a time (monotonic). `in_flight` is the load of the closed loop."""

    candidates: Candidates
    served: Served
    in_flight: int
    end: float

    def run(self, folder: Path) -> tuple[ServingOptions, list[dict]]:
        """Return the options that help, and the trials: {"option", "tried_by", "ratio", "rounds", "helps"}.

        The ratio {"median", "low", "high"} is the figure with the option / the figure without it. Models, logs and
        samples are in `folder`.
        """
        variants = {"": self.served}
        for option in options_of(self.served, self.candidates.server):
            name, options = f"{self.served.name}_{option}", ServingOptions(**{option: True})
            variants[option] = replace(self.served, name=name, options=options)
        for variant in variants.values():
            self.candidates.lay_out(folder, variant, self.served.name)
        figures = self._measured(variants, folder)
        trials = [_judged(option, figures[""], figures[option]) for option in variants if option]
        for trial in trials:
            progress(f"    {trial_in_words(trial)}")
        return ServingOptions(**{trial["option"]: True for trial in trials if trial["helps"]}), trials

    def _measured(self, variants: Mapping[str, Served], folder: Path) -> dict[str, dict]:
        """Return {option: {name of a figure: its value in each round}}. The variants take turns."""
        figures: dict[str, dict[str, list[float]]] = {
            option: {FIRST_REQUEST: [], THROUGHPUT: []} for option in variants
        }
        explicit = "--model-control-mode=explicit", "--load-model=*"
        with self.candidates.served_from(folder, *explicit) as running:
            turns = self._turns(variants, running)
            for _ in range(ROUNDS):
                if time.monotonic() > self.end:
                    break
                for option, quantity, measure in turns:
                    figures[option][quantity].append(measure())
        return figures

    def _turns(self, variants: Mapping[str, Served], running: Running) -> list[tuple[str, str, Callable[[], float]]]:
        """Return the measurements of one round: (option, name of the figure, function that measures it)."""
        request = self.candidates.request(self.served)
        by_throughput = [option for option in variants if option != WARMUP]

        def first(model: str) -> float:
            load_again(running.server.ports, model, running.header)
            with ModelClient(running.server.ports, model) as client:  # the connection is not measured
                client.require_ready()
                return client.infer(request).latency_ms

        def throughput(model: str) -> float:
            return Sender(model, running.server.ports, running.folder).throughput(self.in_flight, MEASURED_S)

        return [
            *((option, FIRST_REQUEST, partial(first, variants[option].name)) for option in ("", WARMUP)),
            *(
                (option, THROUGHPUT, partial(throughput, variants[option].name))
                for option in (by_throughput if len(by_throughput) > 1 else [])
            ),
        ]


def load_again(ports: Ports, model: str, header: Mapping[str, str]) -> None:
    """Unload a model and load it again."""
    end = time.monotonic() + LOADED_S
    with connect(endpoint_of(ports)) as client, errors_as(f"Triton does not load {model} again"):
        client.unload_model(model, headers=header, client_timeout=LOADED_S)
        while client.is_model_ready(model):
            if time.monotonic() > end:
                raise SlipwayError(f"Triton did not unload {model} in {LOADED_S:.0f} s")
            time.sleep(0.05)
        client.load_model(model, headers=header, client_timeout=LOADED_S)


def _judged(option: str, without: Mapping[str, list[float]], with_it: Mapping[str, list[float]]) -> dict:
    """Return the trial of an option from the figures of the rounds without and with it."""
    tried_by, more_is_better = TRIED_BY[option]
    ratios = [own / plain for own, plain in zip(with_it[tried_by], without[tried_by], strict=False)]
    trial = {"option": option, "tried_by": tried_by, "ratio": None, "rounds": len(ratios), "helps": False}
    if not ratios:
        return trial
    median, low, high = (round(value, 4) for value in median_interval(ratios))
    helps = len(ratios) >= ROUNDS and (low > 1 if more_is_better else high < 1)
    return {**trial, "ratio": {"median": median, "low": low, "high": high}, "helps": helps}


def trial_in_words(trial: Mapping) -> str:
    """Return a trial in words."""
    verdict = "taken" if trial["helps"] else "not taken"
    if trial["ratio"] is None:
        return f"{trial['option']}: not measured in the time, {verdict}"
    ratio = trial["ratio"]
    span = f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
    few = f", after {trial['rounds']} of {ROUNDS} rounds" if trial["rounds"] < ROUNDS else ""
    return f"{trial['option']}: {trial['tried_by']} with it over without is {span}, {verdict}{few}"
