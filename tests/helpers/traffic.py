"""Clients that ask a served model all the while, and whose answers they were."""

import itertools
import threading
import time
from collections import Counter

from helpers.patience import PATIENCE_S
from slipway.core.errors import SlipwayError
from slipway.triton.client.grpc_client import ModelClient


class _Clients:
    """Threads that ask while a block runs, until `_stop` is set."""

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Traffic(_Clients):
    """Clients that ask hundreds of times a second, as a context manager.

    `answers` has a list for each client, and `lost` the requests without an answer.
    """

    def __init__(self, ports, image, clients=3, model="tiny", tensors=("input", "logits")):
        self.model, self.tensors = model, tensors
        self.answers, self.lost = [[] for _ in range(clients)], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(ports, image, each)) for each in self.answers]

    def _ask(self, ports, image, answers):
        given, wanted = self.tensors
        with ModelClient(ports, self.model) as client:
            while True:  # once in any case, however short the block is
                try:
                    answers.append(client.infer({given: image}).outputs[wanted])
                except Exception as error:
                    self.lost.append(error)
                if self._stop.wait(0.005):
                    return

    def until_all_got(self, training):
        """Wait until the last answer of every client is a training's."""
        deadline = time.monotonic() + PATIENCE_S
        while not all(answers and training.gave(answers[-1]) for answers in self.answers):
            assert time.monotonic() < deadline, "a client got no answer of it"
            time.sleep(0.01)

    def orders(self, trainings):
        """Return which training answered each client, each change once.

        Only a client's own answers have an order: what one asked before a switch may come after another's new answer.
        """
        return [
            [number for number, _ in itertools.groupby(answers, key=lambda logits: who_gave(logits, trainings))]
            for answers in self.answers
        ]


def who_gave(logits, trainings):
    """Return the number of the training that gave an answer."""
    (number,) = [number for number, training in enumerate(trainings) if training.gave(logits)]
    return number


class PatientTraffic(_Clients):
    """Clients that try each request again until its deadline, while what serves is killed and mended.

    `allowed` are the trainings that may answer at this time. `answered` counts their answers. `wrong` lists who gave
    each other answer, None for nobody. `lost` has the last failure of each request without an answer by its deadline.
    `listened_since` is the time since when a server is to listen at the ports: no deadline begins before.
    """

    DEADLINE_S, ATTEMPT_S, PAUSE_S = 60.0, 5.0, 0.04

    def __init__(self, ports, trainings, allowed, clients=2):
        self.allowed = frozenset(allowed)
        self.answered, self.wrong, self.lost = Counter(), [], []
        self.listened_since = 0.0
        self._ports, self._trainings = ports, trainings
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def _ask(self):
        with ModelClient(self._ports, "tiny", self.ATTEMPT_S) as client:
            while not self._stop.wait(self.PAUSE_S):
                before = self.allowed
                logits = self._answer(client)
                if logits is not None:
                    self._judge(logits, before)

    def _answer(self, client):
        """Return the logits of one request, None where there are none by the deadline."""
        started = time.monotonic()
        while True:
            try:
                return client.infer({"input": self._trainings[0].input}).outputs["logits"]
            except SlipwayError as error:
                if self._stop.wait(0.1):
                    return None
                if time.monotonic() > max(started, self.listened_since) + self.DEADLINE_S:
                    self.lost.append(str(error))
                    return None

    def _judge(self, logits, before):
        """Count an answer to a request that was sent when the trainings of `before` were allowed."""
        who = next((number for number, each in enumerate(self._trainings) if each.gave(logits)), None)
        if who in before | self.allowed:
            self.answered[who] += 1
        else:
            self.wrong.append(who)
