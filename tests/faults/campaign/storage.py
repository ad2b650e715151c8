"""Storage: full disks, read-only folders, limits, lost and damaged records, rights, clocks."""

import os
import shutil
import time

from faults.campaign.disk import delete
from faults.campaign.fault import NotHere, fault, faults
from faults.campaign.scene import LIVE, NEXT
from helpers.artifacts.training import RECEIPT

LIVE_JSON = "published/live.json"
LEFT_KB = {f"{left} kB left": left for left in (0, 8, 24, 48, 96, 160)}


@faults(LEFT_KB)
def the_disk_is_full_in_a_deployment(scene, left):
    with scene.disk_with(left):
        outcome = scene.deploy(NEXT)
    assert outcome.code == 0 or "the disk is full" in outcome.said or "disk" in outcome.said, outcome.said


@faults(LEFT_KB)
def the_disk_is_full_in_a_rollback(scene, left):
    with scene.disk_with(left):
        scene.rollback()


@fault
def the_disk_is_full_in_undeploy(scene):
    with scene.disk_with(0):
        scene.run("undeploy")


@fault
def the_disk_is_full_for_status(scene):
    with scene.disk_with(0):
        assert "tiny: answers" in scene.run("status").succeeded().said


@fault
def the_disk_is_full_when_a_dead_server_is_to_be_started_again(scene):
    scene.kill(scene.server)
    with scene.disk_with(0):
        scene.deploy(LIVE)


@fault
def the_disk_is_full_and_then_deploy_is_killed(scene):
    with scene.disk_with(24):
        scene.start("deploy", NEXT).until("testing the new version", 0.3).send(9).end()


@fault
def the_disk_fills_up_as_deploy_switches(scene):
    command = scene.start("deploy", NEXT).until("loading the new version", 0.0)
    with scene.disk_with(0):
        assert command.end().code in (0, 1)
    scene.run("status").succeeded()


@faults({"results/.server": "results/.server", "results/tiny/deploy": "results/tiny/deploy", "results": "results"})
def a_folder_is_read_only_in_a_deployment(scene, folder):
    scene.options(NEXT)  # what the workflow built lies there already
    with scene.read_only(scene.path(folder)):
        scene.deploy(NEXT)


@fault
def a_folder_is_read_only_for_status_and_rollback(scene):
    with scene.read_only(scene.path("results")):
        assert "tiny: answers" in scene.run("status").succeeded().said
        scene.rollback()
        scene.run("undeploy")


@faults({"files of at most 4 kB": "ulimit -f 4", "24 open files": "ulimit -n 24", "64 open files": "ulimit -n 64"})
def deploy_runs_under_a_limit(scene, limit):
    scene.deploy(NEXT, before=limited(limit))


@fault
def rollback_runs_under_a_limit_of_file_sizes(scene):
    scene.rollback(before=limited("ulimit -f 1"))


@fault
def everything_is_made_with_umask_0(scene):
    scene.deploy(NEXT, before=limited("umask 0")).succeeded()
    writable = [path for path in scene.state.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert not writable, f"others may write {writable[:5]}"


def limited(limit):
    """Return what stands before a command that runs under a limit of bash."""
    return ["bash", "-c", f'{limit}; exec "$@"', "bash"]


@faults({name: name for name in (".server/models", ".server/published", ".server", "tiny/deploy", "tiny")})
def a_folder_vanishes_below_the_live_server(scene, folder):
    shutil.rmtree(scene.path("results") / folder)
    scene.may_forget()
    scene.run("status")
    # With its own record the server's folder knows what was live before; receipts are written again from it.
    scene.run("rollback", allowed=not folder.startswith(".server"))


@fault
def all_results_vanish_below_the_live_server(scene):
    shutil.rmtree(scene.path("results"))
    scene.may_forget()
    scene.run("status")


@faults({"models": "models/tiny", "published": "published/tiny"})
def a_models_folder_vanishes_and_its_server_dies(scene, folder):
    shutil.rmtree(scene.state / folder)
    scene.may_forget()
    scene.kill(scene.server)
    scene.run("status")


DAMAGES = {
    "{}": lambda path: path.write_text("{}"),
    "null": lambda path: path.write_text("null"),
    "empty": lambda path: path.write_text(""),
    "noise": lambda path: path.write_bytes(os.urandom(500)),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a folder": lambda path: (delete(path), path.mkdir(), (path / "file").touch()),
    "a link to nowhere": lambda path: (delete(path), path.symlink_to("nowhere")),
    "gone": delete,
}
RECORDS = {"live.json": LIVE_JSON, "state.json": "state.json", "receipt.json": None}
DAMAGED = {f"{record}: {how}": (record, damage) for record in RECORDS for how, damage in DAMAGES.items()}


@faults(DAMAGED)
def a_record_is_damaged(scene, case):
    record, damage = case
    damage(scene.path(RECEIPT) if record == "receipt.json" else scene.state / RECORDS[record])
    scene.may_forget(record == "live.json")
    scene.run("status")
    scene.run("rollback", allowed=record != "live.json")


@fault
def its_record_is_lost_and_the_next_version_deployed(scene):
    delete(scene.state / "state.json")
    scene.deploy(NEXT).succeeded()


@fault
def every_record_is_damaged_and_the_server_dead(scene):
    for file in ("state.json", LIVE_JSON):
        DAMAGES["null"](scene.state / file)
    DAMAGES["noise"](scene.path(RECEIPT))
    scene.may_forget()
    scene.kill(scene.server)
    scene.run("status")


@faults({name: name for name in ("server.log", "trial", "trial.log", "deploying.lock", "backends", "verifying")})
def a_file_or_folder_is_in_the_way(scene, name):
    path = scene.state / name
    is_folder = path.is_dir()
    delete(path)
    if is_folder or name == "trial":
        path.write_text("in the way")
    else:
        path.mkdir()
    scene.deploy(NEXT)
    if path.is_file() is is_folder:
        scene.run("status")


@fault
def files_of_a_killed_copy_and_foreign_files_lie_in_the_store(scene):
    for name in (
        "models/tiny/.partial.9.x",
        "models/tiny/99",
        "models/tiny/notes",
        "published/tiny/-1",
        "models/other",
    ):
        (scene.state / name).mkdir(parents=True)
        (scene.state / name / "file").write_text("x")
    scene.deploy(NEXT)


@faults(
    {"state": ("results/.server", 0o000), "receipts": ("results/tiny/deploy", 0o500), "results": ("results", 0o500)}
)
def a_folder_may_not_be_used_any_more(scene, case):
    name, mode = case
    path, before = scene.path(name), scene.path(name).stat().st_mode
    path.chmod(mode)
    try:
        for program in ("deploy", "status", "rollback", "undeploy"):
            scene.run(program, before=as_ordinary_user(), allowed=program != "rollback")
    finally:
        path.chmod(before)


@faults({"live.json": f".server/{LIVE_JSON}", "receipt": "tiny/deploy/receipt.json"})
def a_file_may_not_be_read_any_more(scene, name):
    path = scene.path("results") / name
    path.chmod(0o000)
    scene.may_forget(name.endswith("live.json"))
    for program in ("status", "rollback"):
        scene.run(program, before=as_ordinary_user())


def as_ordinary_user():
    """Return what stands before a command in which modes of files count for root too."""
    if os.getuid() and not shutil.which("setpriv"):
        return []
    if not shutil.which("setpriv"):
        raise NotHere("setpriv of util-linux makes modes of files count for root")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]


@faults({"in the past": -400 * 86400, "in the future": 400 * 86400})
def the_clock_was_set_and_every_file_is_from(scene, seconds):
    then = time.time() + seconds
    for path in [*scene.path("results").rglob("*"), *scene.trainings[NEXT].folder.rglob("*")]:
        if not path.is_symlink():
            os.utime(path, (then, then))
    scene.deploy(NEXT).succeeded()
    scene.rollback().succeeded()


@fault
def old_versions_cannot_be_removed(scene):
    kept = scene.state / "models/tiny" / str(scene.store.ledger.before(scene.store.ledger.live())["tiny"])
    kept.chmod(0o500)
    try:
        scene.deploy(NEXT, "--keep-versions", 1, before=as_ordinary_user())
    finally:
        if kept.exists():
            kept.chmod(0o755)


@fault
def only_one_version_is_kept(scene):
    scene.deploy(NEXT, "--keep-versions", 1).succeeded()
    scene.rollback(allowed=False).refused("no version is stored that was live")
    scene.may_forget()


@fault
def the_receipt_is_a_link_to_a_file_elsewhere(scene):
    elsewhere = scene.place.path("elsewhere.json")
    shutil.copyfile(scene.path(RECEIPT), elsewhere)
    delete(scene.path(RECEIPT))
    scene.path(RECEIPT).symlink_to(elsewhere)
    scene.deploy(NEXT).succeeded()


@fault
def the_temporary_folder_is_not_there(scene):
    scene.deploy(NEXT, TMPDIR="/nowhere/at/all").succeeded()


@fault
def there_is_no_home(scene):
    scene.deploy(NEXT, HOME="/nowhere/at/all").succeeded()
