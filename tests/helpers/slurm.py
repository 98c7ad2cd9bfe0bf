"""A Slurm whose only node is this machine, reached by the loopback alone, and runs for it that take no training."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alsuite.command.job import Job
from alsuite.errors import AwaitingLabels, UserError
from alsuite.journal import Journal
from helpers.commands import records

__all__ = ["CYCLES", "ERRORS", "HERE", "Slurm", "one_node", "said", "stepping", "steps", "until"]

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
HERE = all(map(shutil.which, PROGRAMS))
CYCLES = 4
ASKED = {"indices": [], "labels": []}
ERRORS = {
    "bug": ZeroDivisionError("by zero"),
    "option": UserError("lower budget.end"),
    "labels": AwaitingLabels("label these"),
}
CONF = """
ClusterName=alone
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=0
ReturnToService=2
KillWait=2
UnkillableStepTimeout=600
NodeName=here NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2
PartitionName=usual Nodes=here Default=YES PriorityTier=1
PartitionName=urgent Nodes=here PriorityTier=2
"""


class Slurm:
    """The daemons of the cluster, which end with it.

    folder: where all their files lie
    daemons: name -> its process
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o400)
        known = {"host": socket.gethostname().partition(".")[0], "user": getpass.getuser(), "folder": folder}
        conf = CONF.format(**known, controller=free_port(), node=free_port())
        (folder / "slurm.conf").write_text(conf)

    def start(self, name: str, *options: str) -> None:
        """Start a daemon; what it has to say goes into a file of its name."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen([name, *options], stdout=log, stderr=log, start_new_session=True)

    def kill(self, name: str) -> None:
        self.daemons[name].kill()
        self.daemons.pop(name).wait()

    def restart_node(self) -> None:
        """Kill the daemon that looks after the tasks, and start it again."""
        if "slurmd" in self.daemons:
            self.kill("slurmd")
        self.start("slurmd", "-D", "-N", "here")


@contextmanager
def one_node(folder: Path) -> Iterator[Slurm]:
    """Start the cluster, and end it with all its tasks; $SLURM_CONF must be the slurm.conf in the folder."""
    slurm = Slurm(folder)
    files = {name: f"--{name}-file={folder / name}" for name in ("key", "pid", "log", "seed")}
    try:
        slurm.start("munged", "--foreground", "--force", f"--socket={folder / 'munge.socket'}", *files.values())
        until((folder / "munge.socket").exists)
        slurm.start("slurmctld", "-D")
        slurm.restart_node()
        until(lambda: "idle" in said("sinfo", "--noheader", "--format=%t"))
        yield slurm
    finally:
        said("scancel", "--full", "--signal=KILL", f"--user={getpass.getuser()}")
        said("scancel", f"--user={getpass.getuser()}")
        until(lambda: not said("squeue", "--noheader"))
        for name in [*slurm.daemons]:
            slurm.kill(name)


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def until(true: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def stepping(job: Job, shown: Any) -> None:
    """A run that tells in each record which process made it; after half of its cycles it waits for a file `go`."""
    with closing(Journal(job.folder)) as journal:
        journal.start({"config": job.config})
        for cycle in range(len(journal.records), CYCLES):
            if cycle == CYCLES // 2:
                until((job.folder.parent / "go").exists)
            if job.config["error"]:
                raise ERRORS[job.config["error"]]
            journal.append(record(cycle))


def record(cycle: int) -> dict[str, Any]:
    made = {"cycle": cycle, "labelled": 10 * cycle, "fit_seconds": 0.0, "query_seconds": 0.0, "process": os.getpid()}
    return {**made, "metrics": {"digits": {"accuracy": 0.5}}, "queried": None if cycle == CYCLES - 1 else ASKED}


def steps(job: Job) -> list[int]:
    """The process that made each record of a run."""
    there = (job.folder / "cycles.jsonl").exists()
    return [each["process"] for each in records(job.folder)] if there else []
