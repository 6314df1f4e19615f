# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A SLURM cluster of one node on this machine: munged, slurmctld and slurmd of Debian, with files of its own."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "sinfo")
PATIENCE_S = 60  # a bound for a daemon that hangs, not a measure of speed

_CONFIGURATION = """ClusterName=trial
SlurmctldHost={host}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why SLURM cannot run here; "" where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"SLURM is not here ({', '.join(absent)}): apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "slurmd wants root"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin"


def _free_ports(count: int) -> list[int]:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in listening]
    for server in listening:
        server.close()
    return ports


class SlurmDaemons:
    """Starts on entry, ends by its own processes' ids on exit. `folder` has a short path, as it holds a socket."""

    def __init__(self, folder: Path) -> None:
        """In this folder, which is empty."""
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self.environment = {**os.environ, "PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")}

    def __enter__(self) -> "SlurmDaemons":
        folder = self.folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        ports = _free_ports(2)
        (folder / "slurm.conf").write_text(
            _CONFIGURATION.format(
                host=host, folder=folder, controller_port=ports[0], node_port=ports[1], cpus=os.cpu_count()
            )
        )
        places = {"socket": "munge.sock", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munge.seed"}
        try:
            self._start("munged", "--foreground", "--force", f"--key-file={key}",
                        *(f"--{option}={folder / name}" for option, name in places.items()))  # fmt: skip
            self._start("slurmctld", "-D", "-i")
            self._start("slurmd", "-D")
            self._wait_for_node()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started):
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def call(self, *words: str, patience_s: float = PATIENCE_S) -> str:
        """The output of one of SLURM's commands. CalledProcessError: it failed."""
        done = subprocess.run(
            words, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=True, timeout=patience_s
        )
        return done.stdout.strip()

    def logs(self) -> str:
        """The ends of the daemons' logs, for a failing test."""
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))

    def _start(self, *words: str) -> None:
        log = (self.folder / f"{words[0]}.out").open("wb")
        with log:
            self._started.append(
                subprocess.Popen(words, env=self.environment, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
            )

    def _wait_for_node(self) -> None:
        for _ in range(PATIENCE_S):
            if any(process.poll() is not None for process in self._started):
                break
            # sinfo waits for a controller that is not there yet, by its own timeout
            shown = subprocess.run(
                ["sinfo", "-h", "-o", "%t"], env=self.environment, capture_output=True, text=True, check=False
            )
            if shown.stdout.strip() == "idle":
                return
            time.sleep(0.5)
        raise RuntimeError(f"SLURM has not started: {self.logs()}")
