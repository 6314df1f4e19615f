# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A DICOMweb server's services (PS3.18): series are found, fetched whole and as they are kept, and SEG are stored."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam_engine.dicomweb import transport
from medsam_engine.dicomweb.access import Access
from medsam_engine.dicomweb.transport import PART_BYTES, QUERY_BYTES, TIMEOUT, Budget, asking, checked_url
from medsam_engine.errors import InvalidArgument, Unsupported
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.pixels import read_dataset
from medsam_engine.io.extras import require

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
_MODALITY, _NUMBER, _DESCRIPTION, _COUNT = "00080060", "00200011", "0008103E", "00201209"
_FIELDS = ("Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances")
_PAGE = 1000  # instances per query; a server may give fewer, or all
_BESIDE = 1 << 20  # bytes that an instance may have beside its pixels
_STORED_AS_IS = (("application/dicom", "*"),)


@dataclass(frozen=True)
class SeriesEntry:
    """A series as the server tells of it.

    Attributes:
        study, uid: StudyInstanceUID and SeriesInstanceUID.
        modality: DICOM's code, "" where the server does not say.
        number: SeriesNumber, "" where there is none.
        description: SeriesDescription; never shown, since people write names into it.
        instances: how many the server says there are; None where it does not.
    """

    study: str
    uid: str
    modality: str
    number: str
    description: str
    instances: int | None

    def __str__(self) -> str:
        """The series for messages: nothing that may tell of a patient."""
        known = [self.modality or "no modality"]
        known += [f"number {self.number}"] if self.number else []
        known += [f"{self.instances} instances"] if self.instances is not None else []
        return f"{self.uid} ({', '.join(known)})"


class DicomWebServer:
    """A server and the session with it. One thread at a time."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        """Nothing is asked yet.

        Args:
            url: where the services are, e.g. "https://pacs.example.org/dicom-web"; http or https.
            access: who asks; None = nobody in particular.

        Raises:
            InvalidArgument: no such URL, or one with a user, a password or a query in it.
            Unsupported: the extra [dicomweb] is not installed.
        """
        client = require("dicomweb_client", "DICOMweb")
        self.url = checked_url(url)
        self._budget = Budget()
        self._session = transport.make_session(access or Access(), self._budget)
        self._client = client.DICOMwebClient(self.url, session=self._session, chunk_size=PART_BYTES, timeout=TIMEOUT)
        self._client.set_http_retry_params(
            retry=False
        )  # it repeats stores without their content; the session asks again

    def series_of_study(self, study: str) -> list[SeriesEntry]:
        """The series of a study, by UID. InvalidArgument: the server has no such study; else as `transport.asking`."""
        check_uid("--study", study)
        found = self._series(f"the series of study {study}", study, {})
        if not found:
            raise InvalidArgument(f"--study: got {study}, expected a study that {self.url} has; check the UID")
        return found

    def find_series(self, uid: str) -> SeriesEntry:
        """A series of any study. InvalidArgument: the server has none or several; else as `transport.asking`."""
        check_uid("--series", uid)
        found = [entry for entry in self._series(f"series {uid}", None, {"SeriesInstanceUID": uid}) if entry.uid == uid]
        if len(found) != 1:
            got = f"{uid} in {len(found)} studies" if found else uid
            raise InvalidArgument(f"--series: got {got}, expected one that {self.url} has; check the UID")
        return found[0]

    def _series(self, what: str, study: str | None, filters: dict[str, str]) -> list[SeriesEntry]:
        answers = self._pages(
            what,
            _SERIES,
            lambda **page: self._client.search_for_series(study, fields=_FIELDS, search_filters=filters, **page),
        )
        entries = []
        for uid, entry in sorted(answers.items()):
            count = _value(entry, _COUNT)
            entries.append(
                SeriesEntry(
                    study or _uid_in(entry, _STUDY, self.url),
                    uid,
                    _value(entry, _MODALITY).upper(),
                    _value(entry, _NUMBER),
                    _value(entry, _DESCRIPTION),
                    int(count) if count.isdecimal() else None,
                )
            )
        return entries

    def instances_of(self, series: SeriesEntry) -> list[str]:
        """The SOPInstanceUIDs of a series, ascending.

        Raises:
            InvalidArgument: the server lists another number than it says the series has, or none.
            Unsupported: as `transport.asking`.
        """
        listed = self._pages(
            f"the instances of series {series.uid}",
            _INSTANCE,
            lambda **page: self._client.search_for_instances(series.study, series.uid, **page),
        )
        if not listed or (series.instances is not None and len(listed) != series.instances):
            said = "at least one" if series.instances is None else str(series.instances)
            raise InvalidArgument(
                f"--dicomweb: got {len(listed)} instances of series {series.uid} listed by {self.url}, expected "
                f"{said}; the series may still be arriving there: try again later"
            )
        return sorted(listed)

    def _pages(self, what: str, key: str, query: Callable[..., Any]) -> dict[str, Mapping[str, Any]]:
        """All pages' answers by UID; a page without a new one is the last, whatever the server makes of offset."""
        found: dict[str, Mapping[str, Any]] = {}
        while True:
            self._budget.allow(QUERY_BYTES)
            with asking(what, self.url):
                page = query(limit=_PAGE, offset=len(found))
                new = {_uid_in(entry, key, self.url): entry for entry in page}
            before = len(found)
            found.update(new)
            if len(found) == before or len(page) < 1:
                return found

    def fetch(
        self, series: SeriesEntry, folder: Path, max_bytes: int | None = None, instances: Sequence[str] | None = None
    ) -> list[Path]:
        """Every instance of a series as a file UID.dcm, in the transfer syntax in which the server has it.

        The files are those that the server lists before and, once they are here, again: all of them and no other.

        Args:
            series: as found.
            folder: an empty one.
            max_bytes: as io.read, for the series as it is stored; 1 MiB per instance may come in addition.
            instances: what `instances_of` said; None = it is asked.

        Raises:
            InvalidArgument: an instance is missing, is there twice, or is of another series; the server lists others
                afterwards; too many bytes.
            Unsupported: as `transport.asking`.
            OSError: a file cannot be written.
        """
        expected = set(self.instances_of(series) if instances is None else instances)
        limit = ByteLimit.of(max_bytes).max_bytes
        self._budget.allow(limit + _BESIDE * (len(expected) + 16))
        errors = require("pydicom.errors", "DICOMweb")
        got: dict[str, Path] = {}
        what = f"series {series.uid}"
        try:
            with asking(what, self.url):
                for dataset in self._parts(series):
                    uid = str(dataset.get("SOPInstanceUID") or "")
                    if uid not in expected or uid in got or str(dataset.get("SeriesInstanceUID") or "") != series.uid:
                        fault = "twice" if uid in got else "that it did not list"
                        raise InvalidArgument(
                            f"--dicomweb: got an instance of {what} from {self.url} {fault}, expected each that it "
                            "lists once; the series may be changing there: try again later"
                        )
                    got[uid] = folder / f"{uid}.dcm"
                    dataset.save_as(got[uid], enforce_file_format=True)
        except (errors.InvalidDicomError, EOFError):
            raise Unsupported(
                f"--dicomweb: got an instance of {what} from {self.url} that is cut off or no DICOM, expected whole "
                "ones; try again"
            ) from None
        if len(got) != len(expected):
            raise Unsupported(
                f"--dicomweb: got {len(got)} of {len(expected)} instances of {what} from {self.url}, expected all; "
                "try again"
            )
        # A series that is cut at its end has no gap that a reader could see.
        after = set(self.instances_of(series))
        if after != expected:
            raise InvalidArgument(
                f"--dicomweb: got {len(expected)} instances of {what} listed by {self.url} before it was fetched and "
                f"{len(after)} afterwards, {len(after - expected)} of them new, expected the same; the series may "
                "still be arriving there: try again later"
            )
        return [got[uid] for uid in sorted(got)]

    def _parts(self, series: SeriesEntry) -> Iterator[Any]:
        yield from self._client.iter_series(series.study, series.uid, media_types=_STORED_AS_IS)

    def has(self, study: str, series: str, instance: str) -> bool:
        """Whether the server has an instance. Raises as `transport.asking`."""
        self._budget.allow(QUERY_BYTES)
        with asking(f"instance {instance}", self.url):
            listed = self._client.search_for_instances(study, series, search_filters={"SOPInstanceUID": instance})
            return any(_uid_in(entry, _INSTANCE, self.url) == instance for entry in listed)

    def store(self, path: Path) -> bool:
        """Stores a DICOM file unless the server has an instance of its UID; returns whether it was stored now.

        The server's word counts: an instance that it names neither as stored nor as failed must be there afterwards.

        Raises:
            InvalidArgument: the file cannot be read; the server refuses it.
            Unsupported: as `transport.asking`.
        """
        dataset = read_dataset(path, ByteLimit.of(None))
        study, series, uid = (
            str(dataset.get(name) or "") for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        )
        for name, value in (("StudyInstanceUID", study), ("SeriesInstanceUID", series), ("SOPInstanceUID", uid)):
            check_uid(f"{path}: {name}", value)
        if self.has(study, series, uid):
            return False
        self._budget.allow(QUERY_BYTES)
        answer = self._posted(dataset, study, uid)
        failed = [item for item in answer.get("FailedSOPSequence") or [] if _refers(item, uid)]
        if failed:
            raise InvalidArgument(_failure(failed[0], uid, self.url))
        stored = any(_refers(item, uid) for item in answer.get("ReferencedSOPSequence") or [])
        if not stored and not self.has(study, series, uid):
            raise Unsupported(
                f"--store: got an answer from {self.url} that says nothing of instance {uid}, which is not there, "
                "expected it stored; look at the server's log"
            )
        return True

    def _posted(self, dataset: Any, study: str, uid: str) -> Any:
        pydicom, errors = require("pydicom", "DICOMweb"), require("requests", "DICOMweb").exceptions
        with asking(f"storing instance {uid}", self.url):
            try:
                return self._client.store_instances([dataset], study_instance_uid=study)
            except errors.HTTPError as error:
                if error.response.status_code != 409:
                    raise
                # Conflict: nothing was stored, and the answer says why (PS3.18 10.5.3).
                answer = error.response.json()
                return pydicom.Dataset.from_json(answer[0] if isinstance(answer, list) else answer)


def check_uid(option: str, uid: str) -> None:
    """InvalidArgument: no UID (PS3.5 9.1): digits and dots, 64 at most."""
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise InvalidArgument(f"{option}: got '{uid:.80}', expected a UID of digits and dots, at most 64; copy it")


def _value(entry: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM's JSON, "" where there is none."""
    values = (entry.get(tag) or {}).get("Value") or []
    return str(values[0]).strip() if values and not isinstance(values[0], dict) else ""


def _uid_in(entry: Mapping[str, Any], tag: str, url: str) -> str:
    uid = _value(entry, tag)
    check_uid(f"--dicomweb: {url}", uid)
    return uid


def _refers(item: Any, uid: str) -> bool:
    return str(item.get("ReferencedSOPInstanceUID") or "") == uid


def _failure(item: Any, uid: str, url: str) -> str:
    reason = item.get("FailureReason")
    code = f"failure reason {int(reason):04X}H" if isinstance(reason, int) else "no reason"
    return (
        f"--store: got instance {uid} refused by {url} with {code} (PS3.18 table 10.5.3-2), expected it stored; look "
        "at the server's log"
    )
