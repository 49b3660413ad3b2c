"""A Slurm cluster of one node, this machine: started as root in a folder of its own, without munge or systemd."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "scontrol", "sinfo", "scancel")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={controller}
SlurmdPort={daemon}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
KillWait=2
SlurmdTimeout=10
NodeName={node} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000
PartitionName=batch Nodes={node} Default=YES MaxTime=10 State=UP
PartitionName=slow Nodes={node} MaxTime=10 State=UP
"""


def why_not() -> str | None:
    """What is missing for a cluster here; None if nothing is."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"Slurm cannot be tested: no {', '.join(lacking)} (scripts/debian-packages.sh installs it on Debian)"
    if os.geteuid() != 0:
        return "Slurm cannot be tested: its daemons need root here"
    return None


class Cluster:
    """Controller and daemon of the node; ``variables`` lead Slurm's commands to them."""

    def __init__(self, home: Path) -> None:
        self.home, self.node = home, socket.gethostname().partition(".")[0]
        for name in ("state", "spool"):
            (home / name).mkdir()
        self.configuration = home / "slurm.conf"
        controller, daemon = _free_ports(2)
        self.configuration.write_text(
            CONFIGURATION.format(node=self.node, home=home, controller=controller, daemon=daemon)
        )
        self.variables = {"SLURM_CONF": str(self.configuration)}
        self.controller = self._start("slurmctld", "-c")
        self.daemon = self._start("slurmd", "-N", self.node)
        self.wait_for("idle")

    def _start(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [program, "-D", "-f", self.configuration, *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def ask(self, *words: str) -> str:
        done = subprocess.run(words, env=os.environ | self.variables, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def wait_for(self, *states: str, seconds: float = 240) -> None:
        """Until the node is in one of these states."""
        end = time.monotonic() + seconds
        while (found := self.ask("sinfo", "-h", "-o", "%T").splitlines()[:1]) not in [[s] for s in states]:
            if time.monotonic() > end:
                logs = [(self.home / f"{name}.log").read_text()[-2000:] for name in ("slurmctld", "slurmd")]
                raise TimeoutError(f"the node is {found}, not {states}\n" + "\n".join(logs))
            time.sleep(0.2)

    def scripts(self) -> list[int]:
        """Processes of the scripts that run on the node."""
        return [process for process in _processes() if str(self.home / "spool" / "job") in _command(process)]

    def lose_node(self) -> None:
        """End the daemon and everything that it runs, as a power failure does."""
        steps = [_parent(script) for script in self.scripts()]
        # First those that would report what they see.
        for process in (self.daemon.pid, *steps, *(p for step in steps for p in _below(step))):
            _kill(process)
        self.daemon.wait()

    def return_node(self) -> None:
        self.daemon = self._start("slurmd", "-N", self.node)

    def close(self) -> None:
        self.ask("scancel", "--user=root", "--signal=KILL", "--full")
        self.ask("scancel", "--user=root")
        end = time.monotonic() + 20
        while self.ask("squeue", "-h", "-t", "R,CG") and time.monotonic() < end:
            time.sleep(0.2)
        for process in (self.daemon, self.controller):
            process.terminate()
        for process in (self.daemon, self.controller):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def kill_below(process: int) -> None:
    """End the processes that a script has started, not the script itself, as the kernel does that is out of memory."""
    for one in _below(process):
        _kill(one)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def _below(process: int) -> list[int]:
    """Its children, and theirs."""
    children = [one for one in _processes() if _parent(one) == process]
    return [*children, *(other for child in children for other in _below(child))]


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
