"""Certificates and secrets in files: read anew when they have changed, and as they were where the new ones are broken."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiokafka.abc import AbstractTokenProvider

log = structlog.get_logger()

LONGEST_SECRET = 64 * 1024  # bytes; a token takes some thousands, and whatever is larger is another file


class BrokenFile(Exception):
    """A file can't be used; the message is one line that names it and says why."""


class SecretFile:
    """A password or a token that somebody else renews."""

    def __init__(self, path: Path) -> None:
        """Raises BrokenFile."""
        self._path = path
        self._last = _secret(path)

    def read(self) -> str:
        """What the file holds now; where it can't be used, what it held before."""
        try:
            self._last = _secret(self._path)
        except BrokenFile as why:
            log.warning("a secret can't be read, the former one is used", why=str(why))
        return self._last


def _secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_SECRET + 1).decode().strip("\r\n")
    except OSError as why:
        raise BrokenFile(f"{path} can't be read: {why.strerror or why}") from None
    except UnicodeDecodeError:
        raise BrokenFile(f"{path} is no UTF-8") from None
    if not text or len(text) > LONGEST_SECRET:
        raise BrokenFile(f"{path} is {'too large for a secret' if text else 'empty'}")
    return text


class Password:
    """For the client, which takes a text and encodes it for each connection that it opens: the newest one."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    def encode(self, encoding: str) -> bytes:
        return self._read().encode(encoding)


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka ships no types
    """A token that somebody else renews, as the kubelet does with those of service accounts."""

    def __init__(self, path: Path) -> None:
        """Raises BrokenFile."""
        self._file = SecretFile(path)

    async def token(self) -> str:
        """For one connection."""
        return self._file.read()


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Whom to trust (None: whom this machine trusts), and who one is oneself (None: nobody)."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def state(self) -> tuple[tuple[int, int, int], ...]:
        """Another one whenever a file has changed; files that can't be found are all alike."""
        return tuple(_state(path) for path in (self.authority, self.certificate, self.key) if path is not None)

    def context(self) -> ssl.SSLContext:
        """By the files as they are now. Raises BrokenFile."""
        try:
            context = ssl.create_default_context(cafile=self.authority)
        except (OSError, ValueError) as why:
            raise BrokenFile(f"{self.authority} holds no certificates that can be read: {_why(why)}") from None
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, password=_no_password)
            except (OSError, ValueError) as why:
                files = " and ".join(str(path) for path in (self.certificate, self.key) if path is not None)
                raise BrokenFile(f"{files} are no certificate with its key: {_why(why)}") from None
        return context


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _no_password() -> str:
    """Without it OpenSSL would ask whoever sits at the terminal."""
    raise ValueError("the key is encrypted, and there is nobody to ask for its password")


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or error)


class TlsContext(ssl.SSLContext):
    """For the client, which keeps one context for all its connections: each new connection is made by the files of then."""

    _certificates: Certificates
    _tried: tuple[tuple[int, int, int], ...]
    _newest: ssl.SSLContext

    @classmethod
    def of(cls, certificates: Certificates) -> "TlsContext":
        """Raises BrokenFile."""
        made = cls(ssl.PROTOCOL_TLS_CLIENT)
        made._certificates = certificates
        made._tried = certificates.state()
        made._newest = certificates.context()
        return made

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        state = self._certificates.state()
        if state != self._tried:
            self._tried = state
            try:
                self._newest = self._certificates.context()
                log.info("certificates have changed", files=[str(f) for f in vars(self._certificates).values() if f])
            except BrokenFile as why:
                log.warning("certificates can't be read, the former ones are used", why=str(why))
        return self._newest.wrap_bio(*arguments, **options)
