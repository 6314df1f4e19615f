# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Who asks a server, which certificates count, and which URLs are taken; no secret is shown."""

import base64
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("dicomweb_client", reason="it is of the extra [dicomweb]")
pydicom = pytest.importorskip("pydicom", reason="DICOM needs the full installation")
pytest.importorskip("highdicom", reason="DICOM SEG needs the full installation")

import certifi
from dicom_builder import stored, straight, write_series
from dicomweb_stand_in import URL, StandIn

from medsam_engine.dicomweb.access import AUTH_VARIABLE, Access, read_access
from medsam_engine.dicomweb.server import DicomWebServer
from medsam_engine.dicomweb.transport import sent_in_clear
from medsam_engine.errors import InvalidArgument, Unsupported

STUDY, SERIES = "1.2.826.0.1.77", "1.2.826.0.1.77.1"


@pytest.fixture
def held(tmp_path: Path, stand_in: StandIn) -> StandIn:
    """The stand-in with one instance."""
    tags = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
    stand_in.add(*write_series(tmp_path / "ct", stored(1, 16, 20), straight(1, 2.0), **tags))
    return stand_in


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Bearer abc.def\n", "Bearer abc.def"),
        ("j\u00f6rg:a:b c\n", "Basic " + base64.b64encode("j\u00f6rg:a:b c".encode()).decode()),
    ],
)
@pytest.mark.parametrize("by", ["file", "environment"])
def test_access(
    held: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, header: str, by: str
) -> None:
    path = None
    if by == "file":
        path = tmp_path / "auth"
        path.write_text(text, encoding="utf-8")
    else:
        monkeypatch.setenv(AUTH_VARIABLE, text)
    access = read_access(path)
    assert "abc" not in repr(access)
    assert "a:b" not in repr(access)
    DicomWebServer(URL, access).series_of_study(STUDY)
    assert {request.headers["Authorization"] for request in held.sent} == {header}


@pytest.mark.parametrize("text", ["secret", "Bearer", "Bearer a b", ":secret", "a:sec\x07ret", "a:secret\nb:secret"])
def test_access_of_another_form_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "auth").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArgument, match="USER:PASSWORD") as caught:
        read_access(tmp_path / "auth")
    assert "sec" not in str(caught.value)


class _Empty(BaseHTTPRequestHandler):
    """Answers every question with an empty list, but the first ones with the statuses of `busy`."""

    busy: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.send_response(self.busy.pop(0) if self.busy else 200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is http.server's)
        pass


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server on loopback with a certificate of its own, and that certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("apt install openssl")
    key, own = tmp_path / "key.pem", tmp_path / "own.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(own)]
    subprocess.run([openssl, *words], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the client hangs up
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}/dicom-web", own
        server.shutdown()
        thread.join()


def test_a_busy_server_is_asked_again(secure: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, own = secure
    busy = [503]  # once: the second time is at once, later ones wait
    monkeypatch.setattr(_Empty, "busy", busy)
    with pytest.raises(InvalidArgument, match=r"--study: got 1\.2, expected a study"):
        DicomWebServer(url, Access(authorities=own)).series_of_study("1.2")
    assert busy == []


def test_a_certificate_is_verified(secure: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, own = secure
    monkeypatch.delenv(AUTH_VARIABLE, raising=False)
    with pytest.raises(InvalidArgument, match=r"certificate is not trusted \(.*self.signed.*--dicomweb-ca"):
        DicomWebServer(url).series_of_study("1.2")
    for elsewhere in (None, certifi.where()):  # where another list is the machine's, the option counts
        if elsewhere is not None:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", elsewhere)
        with pytest.raises(InvalidArgument, match=r"--study: got 1\.2, expected a study"):  # it answers
            DicomWebServer(url, read_access(None, own)).series_of_study("1.2")


@pytest.mark.usefixtures("stand_in")
def test_certificates(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"--dicomweb-ca: got .*no such file"):
        read_access(None, tmp_path / "ca.pem")
    with pytest.raises(InvalidArgument, match=r"--dicomweb-cert: got .*no such file"):
        read_access(None, None, tmp_path / "own.pem")
    (tmp_path / "ca.pem").write_text("x", encoding="ascii")
    session = DicomWebServer(URL, read_access(None, tmp_path / "ca.pem"))._session
    assert session.verify == str(tmp_path / "ca.pem")
    assert DicomWebServer(URL)._session.verify is True


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    "url",
    [
        "pacs",
        "ftp://pacs/x",
        "http://",
        "http://a b/",
        "https://pacs/x?token=secret",
        "https://u:secret@pacs/x",
        "http://x:y",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match="--dicomweb: got") as caught:
        DicomWebServer(url)
    assert "secret" not in str(caught.value)


def test_what_leaves_the_machine_unencrypted() -> None:
    inside = ["http://127.0.0.1:8042/x", "http://[::1]/x", "http://localhost/x", "https://pacs/x"]
    assert [sent_in_clear(url) for url in inside] == [False] * 4
    assert sent_in_clear("http://pacs/x")
    assert sent_in_clear("http://10.0.0.7:8042/dicom-web")


def test_access_has_no_secret_by_default() -> None:
    assert not Access().secret
    assert Access(token="x").secret


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dicomweb_client", None)
    with pytest.raises(Unsupported, match=r"DICOMweb: got no package dicomweb_client, .*pip install .*dicomweb"):
        DicomWebServer(URL)
