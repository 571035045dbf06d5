"""How PostgreSQL is reached: by verified TLS, with files for certificates and password that are read at each new connection."""

import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from relationship_worker.plain_text import is_loopback

VERIFIED = "verify-full"
UNVERIFIED = ("disable", "allow", "prefer", "require", "verify-ca")  # in the words of PostgreSQL's own clients
WRONG_PASSWORD, NOT_ADMITTED, ENDED = "28P01", "28000", "08003"  # SQLSTATE
_OF_THE_ADDRESS = ("sslmode", "ssl", "sslrootcert", "sslcert", "sslkey")


class UnsafeAddress(ValueError):
    """The address can't be read, or asks for less than verified TLS beyond loopback; the message says what to do."""


class CannotEnter(ConnectionError):
    """PostgreSQL is not to be trusted, or does not let us in. The message is one line that says why, and holds no secret."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What is beside the address. `files` are paths; None: the system's authorities, no certificate, the address's password."""

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    password_file: Path | None = None
    insecure: bool = False


@dataclass(frozen=True, kw_only=True)
class Way:
    """An address and how it is gone: `mode` is verify-full, or weaker where that is allowed."""

    url: URL
    mode: str
    access: Access

    @property
    def host(self) -> str:
        """For people."""
        return ", ".join(_hosts(self.url))

    def arguments(self) -> dict[str, Any]:
        """What asyncpg is given for one connection, with the files as they are now. Raises CannotEnter."""
        given: dict[str, Any] = {"ssl": self._tls()}
        if self.access.password_file is not None:
            given["password"] = _password(self.access.password_file)
        return given

    def _tls(self) -> ssl.SSLContext | str | bool:
        if self.mode == "disable":
            return False
        if self.mode in ("allow", "prefer"):
            return self.mode
        context = _authorities(self.access.ca_file)
        if self.mode != VERIFIED:
            context.check_hostname = False
        if self.mode == "require":
            context.verify_mode = ssl.CERT_NONE
        if self.access.certificate_file is not None:
            _show_certificate(context, self.access.certificate_file, self.access.key_file)
        return context


def way(address: str, access: Access) -> Way:
    """How to go to this address. Raises UnsafeAddress. Settings win over what the address says of TLS."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise UnsafeAddress(
            "DATABASE_URL can't be read: it takes postgresql://user:password@host:port/name, with %40 for @, %3A for :, "
            "%2F for / in a password"
        ) from None
    said = {name: _last(url.query[name]) for name in _OF_THE_ADDRESS if name in url.query}
    url = url.difference_update_query(_OF_THE_ADDRESS)
    root = said.get("sslrootcert")
    access = Access(
        ca_file=access.ca_file or (Path(root) if root and root != "system" else None),
        certificate_file=access.certificate_file or (Path(said["sslcert"]) if said.get("sslcert") else None),
        key_file=access.key_file or (Path(said["sslkey"]) if said.get("sslkey") else None),
        password_file=access.password_file,
        insecure=access.insecure,
    )
    if access.key_file is not None and access.certificate_file is None:
        raise UnsafeAddress("PostgreSQL is to be shown a key, but no certificate: name its file, too")
    return Way(url=url, mode=_mode(url, said, access), access=access)


def _mode(url: URL, said: Mapping[str, str], access: Access) -> str:
    mode = said.get("sslmode") or said.get("ssl")
    if mode not in (None, VERIFIED, *UNVERIFIED):
        raise UnsafeAddress(f"DATABASE_URL says sslmode={mode}, which PostgreSQL does not know: say {VERIFIED}")
    may_be_plain = access.insecure or all(is_loopback(host) or host.startswith("/") for host in _hosts(url))
    if mode in UNVERIFIED and not may_be_plain:
        raise UnsafeAddress(
            f"DATABASE_URL says sslmode={mode}, by which anybody may pass for PostgreSQL: say {VERIFIED} or nothing, "
            "or allow it with --insecure"
        )
    if mode is not None:
        return str(mode)
    wants_tls = access.ca_file is not None or access.certificate_file is not None
    return VERIFIED if wants_tls or not may_be_plain else "disable"


def servers_of(url: URL) -> str:
    """host:port, and so on: what of the address may be shown."""
    port = f":{url.port}" if url.port else ""
    return ", ".join(host if host.startswith("/") or ":" in host else host + port for host in _hosts(url))


def _hosts(url: URL) -> Sequence[str]:
    """Those of the address; where it has none, those that asyncpg takes: a socket of this machine, if nobody says otherwise."""
    asked = url.query.get("host", ())
    named = [host for text in ([asked] if isinstance(asked, str) else asked) for host in text.split(",")]
    found = [*([url.host] if url.host else []), *map(_without_port, named)]
    return found or os.environ.get("PGHOST", "localhost").split(",")


def _without_port(host: str) -> str:
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _last(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else text[-1]


def _authorities(file: Path | None) -> ssl.SSLContext:
    if file is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(file))
    except ssl.SSLError:
        raise CannotEnter(f"the file of PostgreSQL's authorities, {file}, has no certificate in PEM") from None
    except OSError as why:
        raise CannotEnter(f"the file of PostgreSQL's authorities, {file}, can't be read: {why.strerror}") from None


def _show_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(
            certificate, key, password=""
        )  # an encrypted key would ask the terminal for its password
    except ssl.SSLError as why:
        kind = "don't belong together" if why.reason == "KEY_VALUES_MISMATCH" else "are no PEM that can be read"
        raise CannotEnter(
            f"the certificate for PostgreSQL and its key, {certificate} and {key or 'the same'}, {kind}"
        ) from None
    except OSError as why:
        raise CannotEnter(
            f"the certificate for PostgreSQL or its key, {certificate} or {key or 'the same'}, can't be read: {why.strerror}"
        ) from None


def _password(file: Path) -> str:
    try:
        password = file.read_text("utf-8").rstrip("\r\n")
    except OSError as why:
        raise CannotEnter(f"the file of PostgreSQL's password, {file}, can't be read: {why.strerror}") from None
    except UnicodeDecodeError:
        raise CannotEnter(f"the file of PostgreSQL's password, {file}, is no text in UTF-8") from None
    if not password:
        raise CannotEnter(f"the file of PostgreSQL's password, {file}, is empty")
    return password


def why_not(error: BaseException, to: Way) -> str | None:
    """Why PostgreSQL is not trusted or does not let us in; None where it is just away. Names neither password nor key."""
    host, user = to.host, to.url.username
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"PostgreSQL at {host} is not trusted: {_DISTRUST.get(error.verify_code) or error.verify_message}"
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return f"PostgreSQL at {host} refuses the worker's certificate ({_in_words(error.reason)}): {_OWN_CERTIFICATE}"
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return f"PostgreSQL at {host} does not speak TLS: switch it on there (ssl = on), or allow plain text with --insecure"
    state = getattr(error, "sqlstate", None)
    if (
        state == ENDED and to.access.certificate_file is not None
    ):  # with TLS 1.3 a server that takes no certificate just hangs up
        return (
            f"PostgreSQL at {host} ended the connection when it was shown the worker's certificate: {_OWN_CERTIFICATE}"
        )
    if state == WRONG_PASSWORD:
        return f"PostgreSQL at {host} refuses the password of {user or 'the user'}: is it the one that is set there?"
    if state == NOT_ADMITTED:
        return (
            f"PostgreSQL at {host} does not let {user or 'the user'} in: is there such a role, does pg_hba.conf have a line "
            f"for it, and does that ask for a certificate? {_OWN_CERTIFICATE}"
        )
    return None


_OWN_CERTIFICATE = (
    "a client certificate must be signed by the authority in its ssl_ca_file, not expired, and made out to that role"
)
_DISTRUST = {  # by OpenSSL's numbers
    9: "its certificate is not valid yet: is this machine's clock right?",
    10: "its certificate has expired: renew it on the server",
    18: "nobody but itself has signed its certificate: name its authority in the CA file",
    19: "its certificate is signed by an authority that is not in the CA file",
    20: "its certificate is signed by an authority that is not in the CA file",
    21: "its certificate is signed by an authority that is not in the CA file",
    62: "its certificate is made out to another host: use the name that is in it",
    64: "its certificate is made out to another address: use the name that is in it",
}


def _in_words(reason: str) -> str:
    return reason.partition("ALERT_")[2].replace("_", " ").lower() or "no reason"
