# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Series from a stand-in of a server and SEG to it: whole or refused in one line, which tells nothing of a patient."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("dicomweb_client", reason="it is of the extra [dicomweb]")
pydicom = pytest.importorskip("pydicom", reason="DICOM needs the full installation")
pytest.importorskip("highdicom", reason="DICOM SEG needs the full installation")

import requests
from dicom_builder import stored, straight, write_series
from dicomweb_stand_in import URL, Answer, StandIn

from medsam_engine import io
from medsam_engine.dicomweb.server import DicomWebServer, SeriesEntry
from medsam_engine.errors import Error, InvalidArgument, Unsupported

STUDY, SERIES = "1.2.826.0.1.77", "1.2.826.0.1.77.1"
NAME = "Doe^Jane"


def ct(folder: Path, series: str = SERIES, count: int = 5, **tags: Any) -> list[Path]:
    known = {"StudyInstanceUID": STUDY, "PatientName": NAME, "SeriesDescription": f"of {NAME}"}
    files: list[Path] = write_series(
        folder, stored(count, 16, 20), straight(count, 2.0), SeriesInstanceUID=series, **{**known, **tags}
    )
    return files


@pytest.fixture
def held(tmp_path: Path, stand_in: StandIn) -> StandIn:
    """The stand-in with a study of one CT series of 5 slices."""
    stand_in.add(*ct(tmp_path / "ct"))
    return stand_in


def entry(server: DicomWebServer) -> SeriesEntry:
    (found,) = server.series_of_study(STUDY)
    return found


def fetched(folder: Path, **options: Any) -> list[Path]:
    folder.mkdir()
    server = DicomWebServer(URL)
    return server.fetch(entry(server), folder, **options)


def seg_of(tmp_path: Path) -> Path:
    scan = io.read(tmp_path / "ct")
    labels = np.zeros(scan.grid, np.uint8)
    labels[1:4, 4:9, 3:9] = 1
    io.write(tmp_path / "seg.dcm", labels, scan, derived_uids=True)
    return tmp_path / "seg.dcm"


def test_the_series_of_a_study(held: StandIn) -> None:
    found = entry(DicomWebServer(URL))
    assert (found.uid, found.study, found.modality, found.instances) == (SERIES, STUDY, "CT", 5)
    assert NAME not in str(found)
    assert held.asked == [f"GET /studies/{STUDY}/series"] * 2  # the second is empty: there is no further page


@pytest.mark.usefixtures("held")
def test_a_series_of_whatever_study() -> None:
    assert DicomWebServer(URL).find_series(SERIES).study == STUDY
    with pytest.raises(InvalidArgument, match=r"--series: got 1\.2\.3, expected one that"):
        DicomWebServer(URL).find_series("1.2.3")


def test_a_fetched_series_is_the_one_that_was_stored(held: StandIn, tmp_path: Path) -> None:
    files = fetched(tmp_path / "in")
    assert sorted(path.stem for path in files) == sorted(held.held)
    np.testing.assert_array_equal(io.read(tmp_path / "in").array, io.read(tmp_path / "ct").array)


def test_the_transfer_syntax_stays(stand_in: StandIn, tmp_path: Path) -> None:
    for path in ct(tmp_path / "ct"):
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    stand_in.add(tmp_path / "ct")
    for path in fetched(tmp_path / "in"):
        dataset = pydicom.dcmread(path)
        assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless
        assert dataset.PixelData == stand_in.held[path.stem].dataset.PixelData
    (whole,) = [request for request in stand_in.sent if request.url.endswith(SERIES)]
    assert whole.headers["Accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.mark.parametrize("ignores_offset", [False, True])
def test_pages(held: StandIn, tmp_path: Path, ignores_offset: bool) -> None:
    held.page, held.ignores_offset = (2, False) if not ignores_offset else (10, True)
    assert len(fetched(tmp_path / "in")) == 5


def without_one_part(asked: str, answer: Answer) -> Answer:
    if asked.endswith(SERIES):
        answer.body = b"\r\n--stand-in".join([*answer.body.split(b"\r\n--stand-in")[:3], b"--"])
    return answer


def test_a_shorter_series_is_refused(held: StandIn, tmp_path: Path) -> None:
    held.fault = without_one_part
    with pytest.raises(Unsupported, match=r"got 2 of 5 instances of series"):
        fetched(tmp_path / "in")


def test_fewer_instances_listed_than_the_series_has_are_refused(held: StandIn, tmp_path: Path) -> None:
    held.page, held.ignores_offset = 3, True
    with pytest.raises(InvalidArgument, match=r"got 3 instances .* expected 5; the series may still be arriving"):
        fetched(tmp_path / "in")


def test_an_instance_twice_is_refused(held: StandIn, tmp_path: Path) -> None:
    def twice(asked: str, answer: Answer) -> Answer:
        if asked.endswith(SERIES):
            parts = answer.body.split(b"\r\n--stand-in")
            answer.body = b"\r\n--stand-in".join([parts[0], parts[1], parts[1], *parts[3:]])
        return answer

    held.fault = twice
    with pytest.raises(InvalidArgument, match="twice, expected each that it lists once"):
        fetched(tmp_path / "in")


def test_an_instance_that_arrives_meanwhile_is_refused(held: StandIn, tmp_path: Path) -> None:
    (more,) = ct(tmp_path / "more", count=1)

    def arriving(asked: str, answer: Answer) -> Answer:
        if asked.endswith("/instances") and answer.body == b"[]":  # after the last page
            held.add(more)
        return answer

    held.fault = arriving
    with pytest.raises(InvalidArgument, match="that it did not list"):
        fetched(tmp_path / "in")


def more_once_it_is_fetched(held: StandIn, more: Path) -> Callable[[str, Answer], Answer]:
    """A server at which an instance arrives just after it has sent the series."""

    def arriving(asked: str, answer: Answer) -> Answer:
        if asked.endswith(SERIES):
            held.add(more)
        return answer

    return arriving


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (True, r"got 6 instances .* expected 5; the series may still be arriving"),
        (False, r"got 5 instances .* and 6 afterwards, 1 of them new, .* the series may still be arriving"),
    ],
)
def test_a_series_that_has_grown_while_it_was_fetched_is_refused(
    held: StandIn, tmp_path: Path, counts: bool, words: str
) -> None:
    (more,) = ct(tmp_path / "more", count=1)
    held.counts, held.fault = counts, more_once_it_is_fetched(held, more)
    with pytest.raises(InvalidArgument, match=words):
        fetched(tmp_path / "in")


@pytest.mark.parametrize("cut", [1, 10, 700])
def test_an_answer_that_breaks_off(held: StandIn, tmp_path: Path, cut: int) -> None:
    def short(asked: str, answer: Answer) -> Answer:
        answer.cut = cut if asked.endswith(SERIES) else 0
        return answer

    held.fault = short
    with pytest.raises(Unsupported, match="breaks off, expected all of it"):
        fetched(tmp_path / "in")


def test_more_bytes_than_allowed(held: StandIn, tmp_path: Path) -> None:
    def large(asked: str, answer: Answer) -> Answer:
        if asked.endswith(SERIES):
            answer.body = answer.body.replace(b"\r\n--stand-in--", b"\0" * (24 << 20) + b"\r\n--stand-in--")
        return answer

    held.fault = large
    with pytest.raises(InvalidArgument, match=r"got more than expected of series .* see --max-bytes"):
        fetched(tmp_path / "in", max_bytes=1000)
    held.fault = None
    assert len(fetched(tmp_path / "in2", max_bytes=1000)) == 5


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, InvalidArgument, "to be let in; give the access with --dicomweb-auth"),
        (403, InvalidArgument, "to be allowed that"),
        (404, InvalidArgument, "it there; check the UID and the URL"),
        (500, Unsupported, "try again later"),
        (400, InvalidArgument, "look at the server's log"),
    ],
)
def test_a_status_is_told_in_one_line(held: StandIn, status: int, kind: type[Error], words: str) -> None:
    held.fault = lambda _asked, _answer: Answer(status, f"<p>{NAME}</p>".encode(), "text/html")
    with pytest.raises(kind) as caught:
        DicomWebServer(URL).series_of_study(STUDY)
    text = str(caught.value)
    assert f"got HTTP {status} from {URL} about the series of study {STUDY}" in text
    assert words in text
    assert NAME not in text
    assert "\n" not in text


@pytest.mark.parametrize("body", [f"<html>{NAME}</html>", '["x"]', "[{}]", '{"00080060": 3}'])
def test_an_answer_that_is_not_of_dicomweb(held: StandIn, body: str) -> None:
    held.fault = lambda _asked, _answer: Answer(200, body.encode(), "text/html")
    with pytest.raises(InvalidArgument) as caught:
        DicomWebServer(URL).series_of_study(STUDY)
    assert "DICOM" in str(caught.value) or "UID" in str(caught.value)
    assert NAME not in str(caught.value)


def test_parts_that_are_no_dicom(held: StandIn, tmp_path: Path) -> None:
    def no_dicom(asked: str, answer: Answer) -> Answer:
        if asked.endswith(SERIES):
            answer.body = (
                b"\r\n--stand-in\r\nContent-Type: application/dicom\r\n\r\n" + b"x" * 500 + b"\r\n--stand-in--"
            )
        return answer

    held.fault = no_dicom
    with pytest.raises(Unsupported, match="that is cut off or no DICOM"):
        fetched(tmp_path / "in")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.exceptions.ConnectionError("x"), "got no connection to"),
        (requests.exceptions.SSLError("x"), "whose certificate is not trusted"),
        (requests.exceptions.ReadTimeout("x"), "got no answer from"),
        (requests.exceptions.TooManyRedirects("x"), "TooManyRedirects"),
    ],
)
def test_a_server_that_cannot_be_reached(held: StandIn, error: Exception, words: str) -> None:
    def broken(_asked: str, _answer: Answer) -> Answer:
        raise error

    held.fault = broken
    with pytest.raises(Error, match=re.escape(words)):
        DicomWebServer(URL).series_of_study(STUDY)


@pytest.mark.usefixtures("held")
def test_no_such_study() -> None:
    with pytest.raises(InvalidArgument, match=r"--study: got 1\.2\.3, expected a study that http://pacs\.test"):
        DicomWebServer(URL).series_of_study("1.2.3")
    with pytest.raises(InvalidArgument, match="expected a UID of digits and dots"):
        DicomWebServer(URL).series_of_study("../../patients")


def test_a_seg_is_stored_once(held: StandIn, tmp_path: Path) -> None:
    path, server = seg_of(tmp_path), DicomWebServer(URL)
    assert server.store(path)
    assert not server.store(path)
    assert [asked for asked in held.asked if asked.startswith("POST")] == [f"POST /studies/{STUDY}"]
    (kept,) = held.of_kind("SEG")
    assert kept.content == path.read_bytes()


def test_a_refused_instance_is_named_with_the_reason(held: StandIn, tmp_path: Path) -> None:
    path = seg_of(tmp_path)
    held.refuses = 0xA700
    with pytest.raises(InvalidArgument, match=r"--store: got instance 2\.25\.\d+ refused by .* failure reason A700H"):
        DicomWebServer(URL).store(path)


def test_a_failure_beside_a_good_status_is_a_failure(held: StandIn, tmp_path: Path) -> None:
    path = seg_of(tmp_path)
    held.refuses = 0x0110
    held.fault = lambda _asked, answer: Answer(202 if answer.status == 409 else 200, answer.body)
    with pytest.raises(InvalidArgument, match="failure reason 0110H"):
        DicomWebServer(URL).store(path)


def test_an_answer_that_says_nothing(held: StandIn, tmp_path: Path) -> None:
    path = seg_of(tmp_path)
    held.silent = True
    assert DicomWebServer(URL).store(path)  # it is there
    held.held.popitem()
    held.take = lambda content: pydicom.dcmread(__import__("io").BytesIO(content))
    with pytest.raises(Unsupported, match="says nothing of instance"):
        DicomWebServer(URL).store(path)


def test_a_store_is_not_repeated_after_a_status_that_asks_for_it(held: StandIn, tmp_path: Path) -> None:
    path = seg_of(tmp_path)
    held.fault = lambda asked, answer: Answer(503) if asked.startswith("POST") else answer
    with pytest.raises(Unsupported, match="got HTTP 503"):
        DicomWebServer(URL).store(path)
    assert sum(asked.startswith("POST") for asked in held.asked) == 1
