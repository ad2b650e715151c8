"""Whether a scene survived a fault: nothing wrong was answered, and the next `deploy` makes everything agree."""

import traceback

from faults.campaign.commands import command_line, told_well, wait_for
from faults.campaign.fault import NotHere
from faults.campaign.scene import LIVE, PREVIOUS
from helpers.artifacts.training import RESULTS
from helpers.workplace import Outcome

from slipway.core.errors import SlipwayError

SURVIVED = "survived"


def survived(scene, fault):
    """Let a fault happen in a scene, deploy, and return "survived", "not here: why" or in what it did not."""
    prepare(scene)
    earlier, scene.forgot, scene.rolled_back = [*scene.earlier, None], False, 0
    wrong, lost = len(scene.clients.wrong), len(scene.clients.lost)
    try:
        fault.happen(scene)
        permitted = {*earlier[: 1 + scene.rolled_back], *scene.clients.allowed} - {LIVE}
        permitted |= {None} if scene.forgot else set()
        mend(scene)
        agree(scene, permitted)
        assert scene.clients.wrong[wrong:] == [], f"wrong answers, by trainings {scene.clients.wrong[wrong:][:5]}"
        assert scene.clients.lost[lost:] == [], f"lost requests: {scene.clients.lost[lost:][:5]}"
    except NotHere as why:
        return f"not here: {why}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({place.filename.rpartition('/')[2]}:{place.lineno})"
    return SURVIVED


def prepare(scene):
    """Make the first training what `rollback` goes back to, where a fault before took that or its files."""
    if not can_go_back(scene):
        scene.allow(PREVIOUS)
        for number in (PREVIOUS, LIVE):
            scene.sums["deployments"] += 1
            here(scene, "deploy", number).succeeded()
        scene.clients.allowed = frozenset({LIVE})


def can_go_back(scene):
    """Say whether `rollback` would find a version that is known, every file of it as it was."""
    live = scene.store.ledger.live()
    try:
        return bool(live and scene.previous is not None and numbers_before(scene, live))
    except SlipwayError:
        return False


def here(scene, program, number=LIVE):
    """Run a program in this process, where its libraries were imported once."""
    words = scene.options(number) if program == "deploy" else ["--results", RESULTS]
    return scene.place.program_here(program, *words)


def mend(scene):
    """Deploy what config.yaml says, which puts everything right, and let nothing else answer from then on."""
    scene.allow(LIVE)
    scene.sums["deployments"] += 1
    told_well(here(scene, "deploy")).succeeded()
    scene.clients.allowed = frozenset({LIVE})


def agree(scene, permitted):
    """Require that status, receipt, history, server and processes say the same, and that nothing is left over."""
    status = here(scene, "status").succeeded().said
    assert any(line.startswith("tiny: answers") for line in status.splitlines()), f"status says: {status}"
    who, version = scene.serving()
    receipt, server = scene.receipt, scene.server
    assert who == LIVE, f"training {who} answers"
    assert receipt["number"] == version, f"the receipt says {receipt['number']}, {version} is served"
    assert receipt["contents"]["server"]["pid"] == server.pid, "the receipt is of another process"
    assert scene.store.ledger.live() == {"tiny": version}, "the history says otherwise"
    one_back(scene, version, permitted)
    family = {server.pid, *(child.pid for child in server.children(recursive=True))}
    wait_for(lambda: not left_over(scene, family), lambda: f"processes are left: {left_over(scene, family)}")
    assert not scene.place.partial_files(), f"partial files are left: {scene.place.partial_files()}"
    foreign = [name for name in scene.regions() if not name.startswith(receipt["contents"]["server"]["id"])]
    assert not foreign, f"regions are left in shared memory: {foreign}"


def left_over(scene, family):
    """Return the command lines of the processes in the checkout that are not of the live server's family."""
    return [f"{each.pid} {command_line(each)}" for each in scene.processes() if each.pid not in family]


def one_back(scene, version, permitted):
    """Require that `rollback` would find, whole, what was live before the fault or became live by it, and nothing else.

    `permitted` are the trainings that it may be, None among them where the fault lost what was known.
    """
    previous = scene.previous
    assert previous in permitted, f"rollback would serve training {previous}, not one of {permitted}"
    if previous is not None and not scene.forgot:
        assert numbers_before(scene, {"tiny": version}) != {"tiny": version}, "rollback would go nowhere"


def numbers_before(scene, live):
    """Return the versions that `rollback` would serve in place of `live`; raise SlipwayError unless they are whole."""
    numbers = scene.store.ledger.before(live) or {}
    for name, number in numbers.items():
        scene.store.require_whole(name, number)
    return numbers


def back_for_real(scene):
    """Roll back once, at the end of a scene, and require exactly what was live before."""
    prepare(scene)  # the last fault may have taken what was known of the version before
    previous = scene.previous
    scene.allow(previous)
    scene.sums["rollbacks"] += 1
    outcome = here(scene, "rollback")
    if outcome.code == 0 and scene.serving()[0] != previous:
        return Outcome(1, f"not {previous} but {scene.serving()} serves")
    return outcome
