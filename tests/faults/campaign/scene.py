"""Where faults happen: a checkout with two versions deployed, the second one live, under traffic."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import psutil
from faults.campaign.commands import PATIENCE_S, READY_S, Command, command_line, told_well, wait_for
from faults.campaign.disk import copy, delete, made, mount
from faults.campaign.fault import NotHere
from helpers.artifacts.training import RECEIPT, RESULTS, Training, options
from helpers.traffic import PatientTraffic
from helpers.workplace import Workplace

from slipway.core.artifacts import read_json, sha256
from slipway.deploy.local import server_state
from slipway.deploy.local.model_store import ModelStore
from slipway.triton.client.grpc_client import ModelClient
from slipway.triton.client.ports import Ports
from slipway.triton.server.leftovers import SHARED_MEMORY

# The trainings of a scene by their numbers; the first three have other weights each.
PREVIOUS, LIVE, NEXT = range(3)
DISK_MB = 48
INSTANCES = 2  # of the engine, in the configuration that is served
SIGNALS_OF_A_PERSON = {"Ctrl-C": signal.SIGINT, "kill": signal.SIGTERM, "a closed terminal": signal.SIGHUP}
SIGNALS = {"kill -9": signal.SIGKILL, **SIGNALS_OF_A_PERSON}
STATE = "results/.server"


class Scene:
    """A checkout on a small disk of its own, its trainings, and who asks its server."""

    def __init__(self, folder, sums):
        self.folder, self.sums, self.forgot, self.rolled_back = folder, sums, False, 0
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "checkout").mkdir(parents=True)
        self.has_disk = mount(folder / "checkout", f"size={DISK_MB}m")
        self.trainings = [Training(folder / f"training{number}", number, instances=2) for number in range(3)]
        self.place = Workplace(made(folder / "checkout" / "place"))
        self.ports = self.place.served_at = Ports.free()
        for number in (PREVIOUS, LIVE):
            self.place.program("deploy", *self.options(number)).succeeded()
        self.clients = PatientTraffic(self.ports, self.trainings, {LIVE})
        self.clients.__enter__()

    def path(self, name):
        """Return a file of the checkout."""
        return self.place.path(name)

    @property
    def state(self):
        """Return the folder of the server's state and store."""
        return self.path(STATE)

    @property
    def store(self):
        return ModelStore(self.state)

    @property
    def receipt(self):
        return read_json(self.path(RECEIPT))

    @property
    def server(self):
        """Return the process of the live server."""
        with contextlib.chdir(self.place.folder):
            return psutil.Process(server_state.running_server()["pid"])

    @property
    def engines(self):
        """Return the processes that hold the engine of the live version, once those of the load before have ended."""
        adapter = f"tiny/{self.receipt['number']}/model.py"

        def found():
            return [child for child in self.server.children() if adapter in command_line(child)]

        wait_for(lambda: len(found()) == INSTANCES, lambda: f"not {INSTANCES} processes hold an engine: {found()}")
        return found()

    def trial(self):
        """Wait for the server that a version is tried in; return its process."""
        with contextlib.chdir(self.place.folder):
            begins = f"--id={server_state.ids_of(server_state.FOLDER / 'trial')}"
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for process in psutil.process_iter(["cmdline"]):
                if any(word.startswith(begins) for word in process.info["cmdline"] or []):
                    return process
            time.sleep(0.02)
        raise AssertionError("no trial server was started")

    def training_of(self, number):
        """Return which training a stored version is of, None where it is of none that is known."""
        files = self.store.ledger.read()["stored"].get("tiny", {}).get(str(number), {})
        references = [sha256(training.reference) for training in self.trainings]
        return (
            references.index(files["reference_outputs.npz"])
            if files.get("reference_outputs.npz") in references
            else None
        )

    @property
    def previous(self):
        """Return the training that `rollback` would serve, None where there is none."""
        return next(iter(self.earlier), None)

    @property
    def earlier(self):
        """Return the trainings that were live before the live one, the last of them first."""
        _, *before = self.store.ledger.last_of("tiny") or [None]
        return [self.training_of(number) for number in before]

    def serving(self):
        """Return which training answers the reference request, and the version that it says it is."""
        with ModelClient(self.ports, "tiny") as client:
            answer = client.infer({"input": self.trainings[0].input})
        who = next((number for number, each in enumerate(self.trainings) if each.gave(answer.outputs["logits"])), None)
        return who, int(answer.version)

    def allow(self, *trainings):
        """Let these trainings answer too from now on."""
        self.clients.allowed |= {each for each in trainings if each is not None}

    def may_forget(self, does=True):
        """Let `rollback` have nothing to go back to after this fault, since it took what was known of that."""
        self.forgot = self.forgot or does

    def options(self, number, *more):
        return options(self.place, self.trainings[number], "--ready-timeout-s", READY_S, *more)

    def _words(self, program, number, more):
        """Return the options of a program, after letting what it is to serve answer."""
        if program == "deploy":
            return self.options(number, *more)
        return ["--results", RESULTS, *more]

    def start(self, program, number=NEXT, *more, allowed=True, before=(), **environment):
        """Start deploy (of a training), rollback, undeploy or status; `before` stands before its command line."""
        if allowed:
            self.allow({"deploy": number, "rollback": self.previous}.get(program))
        self.sums[{"deploy": "deployments", "rollback": "rollbacks"}.get(program, "other commands")] += 1
        command = [*before, *self.place.program_command(program, *self._words(program, number, more))]
        return Command(command, self.place.folder, environment, self.sums)

    def run(self, program, number=NEXT, *more, **options):
        """Run one of them to its end, which has to be a good one, or told in one sentence."""
        outcome = told_well(self.start(program, number, *more, **options).end())
        self.rolled_back += program == "rollback" and outcome.code == 0
        return outcome

    def deploy(self, number=NEXT, *more, **options):
        return self.run("deploy", number, *more, **options)

    def rollback(self, *more, **options):
        return self.run("rollback", NEXT, *more, **options)

    def kill(self, *processes, by=signal.SIGKILL):
        """Send a signal to processes, as somebody else does who ends what takes his memory."""
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(by)
                self.sums["kills"] += 1

    def kill_client(self, process):
        """Kill a client that a fault started."""
        process.kill()
        process.communicate()
        self.sums["kills"] += 1

    @contextlib.contextmanager
    def kept(self, *paths):
        """Put files and folders back as they were when the block ends, as a person does who has a copy."""
        safe = self.folder / "kept"
        for number, path in enumerate(paths):
            copy(path, safe / str(number))
        try:
            yield
        finally:
            for number, path in enumerate(paths):
                delete(path)
                copy(safe / str(number), path)
            shutil.rmtree(safe)

    @contextlib.contextmanager
    def disk_with(self, left_kb):
        """Leave so little room on the disk of the checkout while the block runs."""
        self.require_disk()
        filler, disk = self.folder / "checkout" / "filler", os.statvfs(self.folder / "checkout")
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(disk.f_bavail * disk.f_frsize - left_kb * 1024, 4096))
        try:
            yield
        finally:
            filler.unlink()

    @contextlib.contextmanager
    def read_only(self, path):
        """Make a folder a read-only file system while the block runs."""
        self.require_disk()
        for flags in (("--bind",), ("-o", "remount,ro,bind")):
            subprocess.run(["mount", *flags, path, path], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", path], check=True)

    def require_disk(self):
        if not self.has_disk:
            raise NotHere("mounting a file system needs Linux with user namespaces")

    def processes(self):
        """Return every process that works in the checkout."""
        found = []
        for process in psutil.process_iter(["cwd", "status"]):
            folder = process.info["cwd"] or ""
            inside = folder.removesuffix(" (deleted)").startswith(f"{self.folder}/checkout")
            if inside and process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def regions(self):
        """Return what servers of this checkout have in shared memory."""
        begins = [server_state.ids_of(folder) for folder in (self.state, self.state / "trial")]
        return [path.name for path in SHARED_MEMORY.iterdir() if path.name.startswith(tuple(begins))]

    def close(self):
        """Stop whatever works here, and remove the scene."""
        self.clients.__exit__()
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for name in self.regions():
            (SHARED_MEMORY / name).unlink(missing_ok=True)
        if self.has_disk:
            subprocess.run(["umount", "--lazy", self.folder / "checkout"], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
