# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The HTTP session of a DICOMweb client: who asks, how much may come, and one line for whatever goes wrong."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from medsam_engine.base.addresses import secret_in
from medsam_engine.dicomweb.access import Access
from medsam_engine.errors import Error, InvalidArgument, Unsupported
from medsam_engine.io.dicom.quiet import quiet_dicom
from medsam_engine.io.extras import require

TIMEOUT = (10.0, 120.0)  # seconds to connect, and between two parts of an answer: an archive may have to look on tape
QUERY_BYTES = 64 << 20  # of an answer in JSON: 100,000 instances
_BUSY, _REPEATS = (408, 429, 503, 504), 3  # after 0, 2 and 4 seconds
PART_BYTES = 8 << 20  # the client looks through a part again with every chunk


class AnswerTooLarge(Exception):
    """More bytes came than `Budget.allow` said."""


class Budget:
    """How many bytes the next answers may have; a hook of the session counts them as they come, unpacked."""

    def __init__(self) -> None:
        self._left = self.most = QUERY_BYTES

    def allow(self, most: int) -> None:
        """At most `most` bytes from here on."""
        self._left = self.most = most

    def hook(self, response: Any, *_args: Any, **_options: Any) -> Any:
        """Makes `response` raise AnswerTooLarge where it is longer."""
        chunks = response.iter_content

        def counted(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[bytes]:
            for chunk in chunks(chunk_size, decode_unicode):
                self._left -= len(chunk)
                if self._left < 0:
                    response.close()
                    raise AnswerTooLarge
                yield chunk

        response.iter_content = counted
        return response


def make_session(access: Access, budget: Budget) -> Any:
    """A requests.Session with the access and the budget; certificates are always verified.

    Raises:
        Unsupported: the extra [dicomweb] is not installed.
    """
    requests = require("requests", "DICOMweb")

    class Bearer(requests.auth.AuthBase):  # type: ignore[misc, name-defined]
        """As requests has it for basic authentication; a header of the session would lose against ~/.netrc."""

        def __call__(self, request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {access.token}"
            return request

    class Session(requests.Session):  # type: ignore[misc, name-defined]
        """The authorities that were named count; with requests alone, the variable REQUESTS_CA_BUNDLE goes before."""

        def merge_environment_settings(self, *arguments: Any) -> Any:
            settings = super().merge_environment_settings(*arguments)
            if access.authorities is not None:
                settings["verify"] = str(access.authorities)
            return settings

    session = Session()
    # Questions alone are repeated, and only where a server says that it is busy; what is stored is sent once.
    again = require("urllib3", "DICOMweb").Retry(
        total=_REPEATS, connect=0, read=0, other=0, redirect=5, status_forcelist=_BUSY, allowed_methods={"GET"},
        backoff_factor=1, respect_retry_after_header=False, raise_on_status=False,
    )  # fmt: skip
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=again))
    if access.token is not None:
        session.auth = Bearer()
    elif access.login is not None:
        # As bytes: requests would write text in Latin-1.
        session.auth = tuple(part.encode("utf-8") for part in access.login)
    if access.authorities is not None:
        session.verify = str(access.authorities)
    if access.certificate is not None:
        session.cert = str(access.certificate)
    # Of STOW-RS; the client names what it wants of the others.
    session.headers["Accept"] = "application/dicom+json"
    session.hooks["response"].append(budget.hook)
    return session


def checked_url(url: str) -> str:
    """The URL without a slash at its end. InvalidArgument: no http(s) URL, or one with a secret or a query in it."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url
        _ = parts.port
    except ValueError:
        sound = False
    secret = secret_in(url)
    if secret == "a user or password":
        raise InvalidArgument(
            "--dicomweb: got a URL with a user or password in it, which logs would show, expected none; "
            "use --dicomweb-auth"
        )
    if not sound or secret is not None:
        raise InvalidArgument(
            f"--dicomweb: got {url.partition('?')[0].partition('#')[0]}, expected a URL such as "
            "https://pacs.example.org/dicom-web without a query; correct it"
        )
    return url.rstrip("/")


def sent_in_clear(url: str) -> bool:
    """Whether what is sent to `url` leaves this machine unencrypted."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return parts.scheme == "http" and not local


@contextmanager
def asking(what: str, url: str) -> Iterator[None]:
    """Around calls of the client: turns what they raise into one line.

    Args:
        what: was asked, e.g. "the series of study 1.2.3".
        url: of the server.

    Raises:
        InvalidArgument: the server refuses, knows no such thing, or is no DICOMweb server.
        Unsupported: the server cannot be reached, fails, or breaks off.
    """
    requests = require("requests", "DICOMweb")
    errors = requests.exceptions
    try:
        with quiet_dicom():
            yield
    except Error:  # said already; InvalidArgument is a ValueError, too
        raise
    except errors.HTTPError as error:
        raise _refused(error.response.status_code, what, url) from None
    except AnswerTooLarge:
        raise InvalidArgument(f"--dicomweb: got more than expected of {what} from {url}; see --max-bytes") from None
    except errors.SSLError as error:
        raise InvalidArgument(
            f"--dicomweb: got {url}, whose certificate is not trusted ({_reason(error)}), expected one of a known "
            "authority; name the authority's PEM file with --dicomweb-ca"
        ) from None
    except errors.Timeout:
        raise Unsupported(
            f"--dicomweb: got no answer from {url} about {what} for {TIMEOUT[1]:g} s, expected one; try again later"
        ) from None
    except (errors.ChunkedEncodingError, errors.ContentDecodingError):
        raise Unsupported(
            f"--dicomweb: got an answer from {url} about {what} that breaks off, expected all of it; try again"
        ) from None
    except errors.JSONDecodeError:
        raise _no_dicomweb(what, url) from None
    except errors.ConnectionError as error:
        raise Unsupported(
            f"--dicomweb: got no connection to {url} ({_reason(error)}), expected a DICOMweb server there; start it, "
            "or correct the URL"
        ) from None
    except errors.RequestException as error:
        raise InvalidArgument(
            f"--dicomweb: got {type(error).__name__} of {url} about {what}, expected an answer; check the URL"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _no_dicomweb(what, url) from None


def _no_dicomweb(what: str, url: str) -> InvalidArgument:
    return InvalidArgument(
        f"--dicomweb: got an answer from {url} about {what} that is not of DICOMweb, expected DICOM or its JSON; "
        "check the URL, which often ends in /dicom-web"
    )


def _refused(status: int, what: str, url: str) -> InvalidArgument | Unsupported:
    text = f"--dicomweb: got HTTP {status} from {url} about {what}, expected"
    if status in (401, 407):
        return InvalidArgument(f"{text} to be let in; give the access with --dicomweb-auth, or another one")
    if status == 403:
        return InvalidArgument(f"{text} to be allowed that; ask the archive's administrators")
    if status in (404, 410):
        return InvalidArgument(f"{text} it there; check the UID and the URL, which often ends in /dicom-web")
    if status == 413:
        return InvalidArgument(f"{text} room for it; raise the server's limit")
    if status >= 500 or status in (408, 429):
        return Unsupported(f"{text} an answer; try again later, or look at the server's log")
    return InvalidArgument(f"{text} an answer; look at the server's log")


def _reason(error: BaseException) -> str:
    """What is at the bottom of a chain of libraries' errors: words of the system, no names of objects."""
    last: BaseException = error
    seen: BaseException | None = error
    words = ""
    for _ in range(10):
        if seen is None:
            break
        last = seen
        if isinstance(seen, OSError) and seen.strerror and "Max retries" not in seen.strerror:
            words = seen.strerror
        inner = getattr(seen, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((part for part in seen.args if isinstance(part, BaseException)), None)
        seen = inner or seen.__cause__ or seen.__context__
    return " ".join(words.split()) or type(last).__name__
