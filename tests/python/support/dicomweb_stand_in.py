# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A DICOMweb server inside the test: an adapter of requests over instances in memory, with faults on demand."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydicom
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

URL = "http://pacs.test/dicom-web"
_BOUNDARY = "stand-in"


@dataclass
class Answer:
    """What is sent; a fault changes it."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/dicom+json"
    cut: int = 0  # bytes at the end that are announced, but never come


@dataclass
class Instance:
    content: bytes
    dataset: Any


@dataclass
class StandIn(BaseAdapter):  # type: ignore[misc]  # requests ships no types
    """Instances by SOPInstanceUID.

    Attributes:
        asked: method and path of each request, in order.
        sent: the requests.
        fault: gets a request as `asked` has it, and the answer; returns the one that is sent, or raises.
        page: instances per answer; offsets are ignored where `ignores_offset`.
        counts: the entries of series say how many instances there are.
        refuses: the failure reason of every instance that is stored; None = all are taken.
        silent: the answer of STOW-RS says nothing.
    """

    held: dict[str, Instance] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    fault: Callable[[str, Answer], Answer] | None = None
    page: int = 10_000
    ignores_offset: bool = False
    counts: bool = True
    refuses: int | None = None
    silent: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def add(self, *paths: Path) -> None:
        """Files, or all files of folders."""
        for path in paths:
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                self.take(file.read_bytes())

    def take(self, content: bytes) -> Any:
        """Keeps one instance; the first of a UID stays."""
        dataset = pydicom.dcmread(io.BytesIO(content))
        self.held.setdefault(str(dataset.SOPInstanceUID), Instance(content, dataset))
        return dataset

    def of_kind(self, modality: str) -> list[Instance]:
        return [one for one in self.held.values() if one.dataset.Modality == modality]

    def send(self, request: Any, **_options: Any) -> Any:
        parts = urlsplit(request.url)
        path = parts.path.removeprefix(urlsplit(URL).path)
        self.asked.append(f"{request.method} {path}")
        self.sent.append(request)
        answer = self._answer(request, path, {name: values[0] for name, values in parse_qs(parts.query).items()})
        if self.fault is not None:
            answer = self.fault(self.asked[-1], answer)
        raw = HTTPResponse(
            body=io.BytesIO(answer.body[: len(answer.body) - answer.cut]),
            headers={"Content-Type": answer.kind, "Content-Length": str(len(answer.body))},
            status=answer.status,
            preload_content=False,
        )
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        pass

    def _answer(self, request: Any, path: str, query: dict[str, str]) -> Answer:
        if request.method == "POST":
            return self._store(request)
        levels = re.fullmatch(r"(?:/studies/([^/]+))?(?:/series/([^/]+))?(/series|/instances)?", path)
        if levels is None:
            return Answer(404)
        study, series, search = levels.groups()
        fitting = [
            one
            for one in self.held.values()
            if study in (None, one.dataset.StudyInstanceUID)
            and series in (None, one.dataset.SeriesInstanceUID)
            and all(str(one.dataset.get(name)) == query[name] for name in query if name.endswith("InstanceUID"))
        ]
        if search is None:
            return self._whole(fitting)
        return self._page(self._series(fitting) if search == "/series" else self._instances(fitting), query)

    def _page(self, found: list[dict[str, Any]], query: dict[str, str]) -> Answer:
        first = 0 if self.ignores_offset else int(query.get("offset", 0))
        count = min(self.page, int(query.get("limit", self.page)))
        return Answer(body=json.dumps(found[first : first + count]).encode())

    def _series(self, fitting: list[Instance]) -> list[dict[str, Any]]:
        by_uid: dict[str, list[Any]] = {}
        for one in fitting:
            by_uid.setdefault(str(one.dataset.SeriesInstanceUID), []).append(one.dataset)
        names = (
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "Modality",
            "SeriesNumber",
            "SeriesDescription",
            "PatientName",
        )
        found = []
        for members in by_uid.values():
            entry = {name: members[0].get(name) for name in names}
            count = {"00201209": {"vr": "IS", "Value": [len(members)]}} if self.counts else {}
            found.append({**_json(entry), **count})
        return found

    def _instances(self, fitting: list[Instance]) -> list[dict[str, Any]]:
        return [_json({"SOPInstanceUID": one.dataset.SOPInstanceUID}) for one in fitting]

    def _whole(self, fitting: list[Instance]) -> Answer:
        if not fitting:
            return Answer(404)
        body = b"".join(
            b"\r\n--%s\r\nContent-Type: application/dicom\r\n\r\n%s" % (_BOUNDARY.encode(), one.content)
            for one in fitting
        )
        kind = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
        return Answer(body=body + b"\r\n--%s--" % _BOUNDARY.encode(), kind=kind)

    def _store(self, request: Any) -> Answer:
        body = request.body if isinstance(request.body, bytes) else b"".join(request.body)
        boundary = re.search(r'boundary="([^"]+)"', request.headers["Content-Type"])
        assert boundary is not None
        parts = body.split(b"\r\n--" + boundary[1].encode())[1:-1]
        content = [part.split(b"\r\n\r\n", 1)[1] for part in parts]
        answer = pydicom.Dataset()
        name = "ReferencedSOPSequence" if self.refuses is None else "FailedSOPSequence"
        items = []
        for one in content:
            dataset = self.take(one) if self.refuses is None else pydicom.dcmread(io.BytesIO(one))
            item = pydicom.Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
            if self.refuses is not None:
                item.FailureReason = self.refuses
            items.append(item)
        setattr(answer, name, items)
        text = b"{}" if self.silent else json.dumps(answer.to_json_dict()).encode()
        return Answer(200 if self.refuses is None else 409, text)


def _json(values: dict[str, Any]) -> dict[str, Any]:
    dataset = pydicom.Dataset()
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    return dict(dataset.to_json_dict())


def mounted(make_session: Callable[..., Any], stand_in: StandIn) -> Callable[..., Any]:
    """make_session, whose sessions reach the stand-in and nothing else."""

    def make(*arguments: Any) -> Any:
        session = make_session(*arguments)
        session.trust_env = False
        session.mount("http://", stand_in)
        session.mount("https://", stand_in)
        return session

    return make
