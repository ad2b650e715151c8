"""A real Slurm of one node in a folder of its own: munged, slurmctld and slurmd from Debian's packages, not installed.

The node claims more cores than the machine has, and one GPU of each of three types, whose device is an empty file.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from helpers.patience import PATIENCE_S
from helpers.programs.debian_packages import unpacked

PACKAGES = (
    *("munge", "libmunge2", "libhwloc15"),
    *("slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins"),
)
GPUS = ("h100", "l4", "a100")

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket
PluginDir={libraries}/slurm-wlm
PlugStackConfig={folder}/plugstack.conf
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/none
KillWait=2
MpiDefault=none
GresTypes=gpu
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=200000 Gres={gpus}
PartitionName=cpu Nodes=node1 Default=YES
"""

# What srun's wrapper does after a step, as a network file system might: the file named by LATE_FILE is seen late.
LATE = """code=$?
if [ -e "$LATE_FILE" ]; then
    mv "$LATE_FILE" "$LATE_FILE.late"
    setsid sh -c 'sleep 4; mv "$LATE_FILE.late" "$LATE_FILE"' < /dev/null > /dev/null 2>&1 &
fi
exit $code
"""

COLUMNS = ((20, 40), (40, 60), (60, 100), (100, 300))


class Job(NamedTuple):
    """A job as squeue shows it; `gpus` is what it asked for, `comment` names its rules."""

    state: str
    partition: str
    gpus: str
    comment: str


class Slurm:
    """A running cluster; `bin` holds its commands, made to find it, as executors drop the variables that do."""

    def __init__(self, packages):
        # The path of munge's socket may have 107 characters, fewer than a test's own folder often has.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.bin = self.folder / "bin"
        self._root = unpacked(packages, PACKAGES) / "usr"
        self._libraries = next(self._root.glob("lib/*/slurm-wlm")).parent
        self._variables = {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "LD_LIBRARY_PATH": f"{self._libraries}:{self._libraries}/slurm-wlm",
        }

    def start(self):
        """Start the three daemons and wait until the node is idle."""
        for name in ("bin", "state", "spool"):
            (self.folder / name).mkdir()
        self._configure()
        self._wrap_commands()
        munge = {"socket": "munge.socket", "key-file": "key", "pid-file": "munged.pid", "log-file": "munged.log"}
        options = [f"--{option}={self.folder / name}" for option, name in munge.items()]
        self._daemon("munged", "--force", f"--seed-file={self.folder / 'seed'}", *options)
        # Under the names of Debian's package they would not know themselves, and ignore GPUs.
        for name in ("slurmctld", "slurmd", "slurmstepd"):
            (self.bin / name).symlink_to(self._root / "sbin" / f"{name}-wlm")
        configuration = str(self.folder / "slurm.conf")
        self._daemon(self.bin / "slurmctld", "-f", configuration)
        self._daemon(self.bin / "slurmd", "-f", configuration, "-d", str(self.bin / "slurmstepd"))
        self.wait_until(
            lambda: self.ask("sinfo", "--noheader", "--format=%t") in ("idle", "mix"), "the node to be idle"
        )

    def stop(self):
        """End the daemons and whatever their jobs left, and remove the folder."""
        jobs = self.ask("squeue", "--noheader", "--format=%i").split()
        if jobs:
            self.ask("scancel", "--signal=KILL", "--full", *jobs)
        for name in ("slurmd", "slurmctld", "munged"):
            file = self.folder / f"{name}.pid"
            if file.is_file():
                self._end(int(file.read_text()))
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, command, *options):
        """Return what one of Slurm's commands says."""
        done = subprocess.run(
            [self.bin / command, *options], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        return done.stdout.strip()

    def jobs(self):
        """Return {job id: Job} of every job that there was."""
        columns = "JobID:20,State:20,Partition:20,tres-per-job:40,Comment:200"
        lines = self.ask("squeue", "--states=all", "--noheader", f"--Format={columns}").splitlines()
        return {line[:20].strip(): Job(*(line[a:b].strip() for a, b in COLUMNS)) for line in lines}

    def wait_until(self, holds, what):
        """Wait until holds() is true, and return what it returned; fail after a long while."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.logs()}"
            time.sleep(0.2)
        return found

    def logs(self):
        """Return the end of every log of the cluster."""
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))

    def _configure(self):
        with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
            ports = [first.getsockname()[1], second.getsockname()[1]]
        text = CONFIGURATION.format(
            folder=self.folder,
            libraries=self._libraries,
            ports=ports,
            host=socket.gethostname(),
            user=psutil.Process().username(),
            gpus=",".join(f"gpu:{name}:1" for name in GPUS),
        )
        for name in GPUS:
            (self.folder / f"gpu.{name}").touch()
            text += f"PartitionName={name} Nodes=node1\n"
        (self.folder / "slurm.conf").write_text(text)
        lines = [f"NodeName=node1 Name=gpu Type={name} File={self.folder}/gpu.{name}" for name in GPUS]
        (self.folder / "gres.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "plugstack.conf").touch()
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        (self.folder / "key").write_bytes(os.urandom(128))
        (self.folder / "key").chmod(0o600)

    def _wrap_commands(self):
        exports = " ".join(f"{name}={value}" for name, value in self._variables.items())
        for name in ("srun", "sbatch", "squeue", "scontrol", "scancel", "sinfo", "sacct", "sacctmgr", "sshare"):
            wrapper = self.bin / name
            wrapper.write_text(
                f'#!/bin/sh\nexport {exports}\n{self._root}/bin/{name} "$@"\n{LATE if name == "srun" else ""}'
            )
            wrapper.chmod(0o755)

    def _daemon(self, program, *options):
        program = program if isinstance(program, Path) else self._root / "sbin" / program
        done = subprocess.run(
            [program, *options],
            env={**os.environ, **self._variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{program.name} did not start:\n{self.logs()}"

    def _end(self, pid):
        try:
            process = psutil.Process(pid)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
        except psutil.NoSuchProcess:
            pass
        except psutil.TimeoutExpired:
            process.kill()
