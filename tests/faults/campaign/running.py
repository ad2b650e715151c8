"""Letting faults happen in several scenes at once, each in a process of its own."""

import multiprocessing
import queue
import random
import time
from collections import Counter

from faults.campaign import addresses, configuration, kills, network, storage, tampering, two_at_once  # noqa: F401
from faults.campaign.fault import FAULTS
from faults.campaign.judging import SURVIVED, back_for_real, survived
from faults.campaign.scene import LIVE, Scene


def campaign(folder, chosen, scenes, minutes, seed):
    """Return [{fault, outcome, seconds}] and the sums of what was counted."""
    context = multiprocessing.get_context("spawn")
    waiting, done = context.Queue(), context.Queue()
    ends = time.time() + 60 * minutes
    random.Random(seed).shuffle(chosen)
    for number in [*chosen, *[None] * scenes]:
        waiting.put(number)
    workers = [context.Process(target=work, args=(folder / f"{n}", waiting, done, ends)) for n in range(scenes)]
    for worker in workers:
        worker.start()
    outcomes, sums = [], Counter()
    while scenes:
        try:
            told = done.get(timeout=5)
        except queue.Empty:
            if any(worker.is_alive() for worker in workers):
                continue
            raise
        if "sums" in told:
            sums.update(told["sums"])
            scenes -= 1
            continue
        outcomes.append(told)
        print(f"{told['outcome']:<9.4000} {told['seconds']:5.1f} s  {told['fault']}", flush=True)
    for worker in workers:
        worker.join()
    return outcomes, sums


def work(folder, waiting, done, ends):
    """Take faults from a queue until there are no more; a scene that did not survive is replaced by a fresh one."""
    sums, scene, made = Counter({"lost": 0, "wrong": 0}), None, 0
    while (number := waiting.get()) is not None:
        if time.time() > ends:
            continue
        fault, started = FAULTS[number], time.monotonic()
        try:
            if scene is None:
                made += 1
                scene = Scene(folder.with_name(f"{folder.name}.{made}"), sums)
            outcome = survived(scene, fault)
        except Exception as error:
            outcome = f"the scene could not be made or put right: {error}"
        done.put({"fault": str(fault), "outcome": outcome, "seconds": round(time.monotonic() - started, 1)})
        if outcome != SURVIVED and not outcome.startswith("not here"):
            scene = closed(scene, sums)
    if scene:
        outcome = back_for_real(scene)
        told = SURVIVED if outcome.code == 0 else outcome.said
        done.put({"fault": "at the end: rolling back once more", "outcome": told, "seconds": 0.0})
    closed(scene, sums)
    done.put({"sums": dict(sums)})


def closed(scene, sums):
    """Close a scene, and add what its clients counted."""
    if scene:
        scene.close()
        clients = scene.clients
        sums.update(lost=len(clients.lost), wrong=len(clients.wrong), requests=clients.answered.total())
        sums.update(
            {"answered by another version than the live one": clients.answered.total() - clients.answered[LIVE]}
        )
