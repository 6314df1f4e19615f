# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Who asks a DICOMweb server, and which certificates count; secrets come from a file or the environment alone.

A command line is seen by every user of the machine and kept in the shell's history, so that no secret is taken from it.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.input_file import read_input

AUTH_VARIABLE = "MEDSAM_ENGINE_DICOMWEB_AUTH"
_LONGEST = 64 << 10  # characters; tokens with many claims have some thousands
_FORM = "one line, `Bearer TOKEN` or `USER:PASSWORD`"


@dataclass(frozen=True)
class Access:
    """What a session is made with; the secrets are not in its repr.

    Attributes:
        token: of OAuth 2, sent as "Authorization: Bearer"; None where there is none.
        login: user and password for HTTP's basic authentication; None where there are none.
        authorities: PEM file of the certificate authorities that count instead of the usual ones.
        certificate: PEM file with the client's own certificate and key.
    """

    token: str | None = field(default=None, repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)
    authorities: Path | None = None
    certificate: Path | None = None

    @property
    def secret(self) -> bool:
        """Whether there is anything that must not travel in clear text."""
        return self.token is not None or self.login is not None


def read_access(auth: Path | None, authorities: Path | None = None, certificate: Path | None = None) -> Access:
    """The access that a file or, without one, the environment variable MEDSAM_ENGINE_DICOMWEB_AUTH gives.

    Args:
        auth: file of one line, `Bearer TOKEN` or `USER:PASSWORD`.
        authorities: as the attribute of Access.
        certificate: as the attribute of Access.

    Raises:
        InvalidArgument: a file is missing or of another form. Nothing of its content is in the message.
    """
    for option, path in (("--dicomweb-ca", authorities), ("--dicomweb-cert", certificate)):
        if path is not None and not path.is_file():
            raise InvalidArgument(f"{option}: got {path}, expected a PEM file; no such file")
    if auth is not None:
        place = f"--dicomweb-auth: got {auth}"
        text = read_input(auth, "--dicomweb-auth").decode("utf-8", "replace")
    else:
        place = AUTH_VARIABLE
        text = os.environ.get(AUTH_VARIABLE, "")
        if not text:
            return Access(authorities=authorities, certificate=certificate)
    token, login = _parsed(text.strip(), place)
    return Access(token, login, authorities, certificate)


def _parsed(text: str, place: str) -> tuple[str | None, tuple[str, str] | None]:
    scheme, _, rest = text.partition(" ")
    if len(text) > _LONGEST or not text.isprintable():
        raise InvalidArgument(f"{place}: expected {_FORM}, of printable characters; correct it")
    if scheme.lower() == "bearer" and rest.strip() and rest.isascii() and " " not in rest.strip():
        return rest.strip(), None
    user, colon, password = text.partition(":")
    if user and colon and scheme.lower() != "bearer":
        return None, (user, password)
    raise InvalidArgument(f"{place}: got another form, expected {_FORM}; correct it")
