"""Try options of a native backend. Only an option that was measured to help gets into config.pbtxt.

One server has the model without options, and once more for each option. These variants are measured in turns for
several rounds, like the subjects of the benchmark. The option `model_warmup` is judged by the latency of the first
request after loading, any other option by the throughput in a closed loop. The ratio is the figure with the option /
the figure without it. The option helps if the whole interval of the ratio is on the better side of 1.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from slipway.benchmark.rounds import ROUNDS, median_interval, take_turns
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

# {(option, name of a figure): [the figure in each round]}; "" is the model without options.
Figures = dict[tuple[str, str], list[float]]
WARMUP, GRAPHS, PINNED = "model_warmup", "cuda_graphs", "pinned_memory"
FIRST_REQUEST, THROUGHPUT = "first request (ms)", "throughput in the closed loop (1/s)"
# {option: (name of the figure that judges the option, whether a larger figure is better)}
TRIED_BY = {WARMUP: (FIRST_REQUEST, False), GRAPHS: (THROUGHPUT, True), PINNED: (THROUGHPUT, True)}
# Seconds for a model to be loaded, and for one measurement in the closed loop.
LOADED_S, MEASURED_S = 300.0, 1.0


def options_of(served: Served, server: Installation) -> list[str]:
    """Return the names of the options in config.pbtxt to try for a Triton model, such as "model_warmup".

    The list is empty for the Python backend, which has no options, but warms the engine up itself.
    """
    if not server.native_backends:
        return []
    return [WARMUP, GRAPHS, PINNED] if served.traits.backend == "tensorrt" else [WARMUP]


@dataclass(frozen=True)
class Trial:
    """Finds out which options of the backend help one configuration, by measurements with and without each option.

    `served` is the Triton model of the configuration without options. The closed loop has `in_flight` requests in
    flight. The measurements end at `end`, a time of the monotonic clock (s).
    """

    candidates: Candidates
    served: Served
    in_flight: int
    end: float

    def run(self, folder: Path) -> tuple[ServingOptions, list[dict]]:
        """Measure each option. Return (options that help, list of trials): a trial has the result of one option.

        A trial is {"option", "tried_by", "ratio", "rounds", "helps"}. "tried_by" is the name of the measured figure,
        such as "first request (ms)". "ratio" {"median", "low", "high"} is the figure with the option / the figure
        without it. "rounds" is the number of rounds, "helps" whether the option helps. Models, logs and samples are
        written into `folder`.
        """
        variants = {"": self.served}
        for option in options_of(self.served, self.candidates.server):
            name, options = f"{self.served.name}_{option}", ServingOptions(**{option: True})
            variants[option] = replace(self.served, name=name, options=options)
        for variant in variants.values():
            self.candidates.lay_out(folder, variant, self.served.name)
        figures = self._measured(variants, folder)
        trials = [_judged(option, figures) for option in variants if option]
        for trial in trials:
            progress(f"    {trial_in_words(trial)}")
        return ServingOptions(**{trial["option"]: True for trial in trials if trial["helps"]}), trials

    def _measured(self, variants: Mapping[str, Served], folder: Path) -> Figures:
        """Measure the variants of the model, {option or "": Triton model}, in turns; "" is the model without options.

        Returns {(option or "", name of a figure): [the figure in each round]}. `folder` gets models, logs and samples.
        """
        explicit = "--model-control-mode=explicit", "--load-model=*"
        with self.candidates.served_from(folder, *explicit) as running:
            rounds = take_turns(self._turns(variants, running), lambda _: True, self.end - time.monotonic())
        return {turn: [measured["figure"] for measured in of_turn] for turn, of_turn in rounds.items()}

    def _turns(self, variants: Mapping[str, Served], running: Running) -> dict[tuple[str, str], Callable[[], dict]]:
        """Return {(option or "", name of the figure): function that measures the figure once, {"figure": number}}."""
        ports, request = running.server.ports, self.candidates.request(self.served)

        def first_request(model: str) -> dict:
            load_again(ports, model, running.header)
            with ModelClient(ports, model) as client:  # the connection is not measured
                client.require_ready()
                return {"figure": client.infer(request).latency_ms}

        def throughput(model: str) -> dict:
            return {"figure": Sender(model, ports, running.folder).throughput(self.in_flight, MEASURED_S)}

        loaded, loops = ["", WARMUP], [option for option in variants if option != WARMUP]
        return {
            **{(option, FIRST_REQUEST): partial(first_request, variants[option].name) for option in loaded},
            **{(option, THROUGHPUT): partial(throughput, variants[option].name) for option in loops if len(loops) > 1},
        }


def load_again(ports: Ports, model: str, header: Mapping[str, str]) -> None:
    """Unload a model and load it again, so that its next request is the first one.

    `header`, {name: secret key}, is the header that Triton needs for this. Raises SlipwayError if Triton refuses, or
    takes more than LOADED_S seconds.
    """
    end = time.monotonic() + LOADED_S
    with connect(endpoint_of(ports)) as client, errors_as(f"Triton does not load {model} again"):
        client.unload_model(model, headers=header, client_timeout=LOADED_S)
        while client.is_model_ready(model):
            if time.monotonic() > end:
                raise SlipwayError(f"Triton did not unload {model} in {LOADED_S:.0f} s")
            time.sleep(0.05)
        client.load_model(model, headers=header, client_timeout=LOADED_S)


def _judged(option: str, figures: Figures) -> dict:
    """Return the trial of an option, as `Trial.run`: whether the figures with the option are better than without it.

    `figures` has the figures of each option and, under "", those without options. Only figures of the same round are
    compared.
    """
    tried_by, more_is_better = TRIED_BY[option]
    ratios = [own / plain for own, plain in zip(figures[option, tried_by], figures["", tried_by], strict=True)]
    median, low, high = (round(value, 4) for value in median_interval(ratios))
    helps = len(ratios) >= ROUNDS and (low > 1 if more_is_better else high < 1)
    ratio = {"median": median, "low": low, "high": high}
    return {"option": option, "tried_by": tried_by, "ratio": ratio, "rounds": len(ratios), "helps": helps}


def trial_in_words(trial: Mapping) -> str:
    """Return a trial of `Trial.run` in words: the ratio with its interval, and whether config.pbtxt gets the option."""
    verdict, ratio = "taken" if trial["helps"] else "not taken", trial["ratio"]
    span = f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
    few = f", after {trial['rounds']} of {ROUNDS} rounds" if trial["rounds"] < ROUNDS else ""
    return f"{trial['option']}: {trial['tried_by']} with it over without is {span}, {verdict}{few}"
