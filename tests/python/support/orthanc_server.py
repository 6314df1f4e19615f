# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A real Orthanc with its DICOMweb plugin, from Debian's packages, for one test module: on loopback, in a folder."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
LOGIN = ("reader", "a password")
_TRIES = 300  # of 0.1 s: it listens after half a second here


@dataclass(frozen=True)
class Orthanc:
    """`url`: of DICOMweb. `auth`: a file for --dicomweb-auth."""

    url: str
    auth: Path
    log: Path


def missing() -> str:
    """Why there can be none, "" if there can."""
    if program() is None:
        return "apt install orthanc"
    return "" if PLUGIN.exists() else "apt install orthanc-dicomweb"


def program() -> str | None:
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def running(folder: Path) -> Iterator[Orthanc]:
    """Starts it with its storage in `folder` and ends it. AssertionError: it does not listen."""
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = {
        "Name": "tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {LOGIN[0]: LOGIN[1]},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration), encoding="utf-8")
    auth = folder / "auth"
    auth.write_text(":".join(LOGIN) + "\n", encoding="utf-8")
    log = folder / "log"
    name = program()
    assert name is not None
    with log.open("wb") as file:
        process = subprocess.Popen([name, str(folder / "orthanc.json")], stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait(port, process, log)
        yield Orthanc(f"http://127.0.0.1:{port}/dicom-web", auth, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(_TRIES):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            try:
                process.wait(0.1)  # ends at once where the port was taken meanwhile
            except subprocess.TimeoutExpired:
                continue
            break
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-2000:])
