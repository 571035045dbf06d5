"""A way to PostgreSQL on which the answer to a commit gets lost: the database has done it, and nobody is told."""

from system.proxy import Link, Proxy

_COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"  # as the worker's driver sends it
_READY = b"Z\x00\x00\x00\x05"  # ends every answer; the state of the transaction follows


class PostgresProxy(Proxy):
    """Loses answers when told to, and breaks the connection instead."""

    def __init__(self, port: int, server_port: int) -> None:
        super().__init__(port, server_port)
        self.lost = 0
        self._commits_to_lose = 0
        self._answers_to_lose = 0
        self._awaiting: set[Link] = set()

    def lose_commits(self, count: int) -> None:
        """Lose the answers to so many of the next commits."""
        self._commits_to_lose += count

    def lose_answers(self, count: int) -> None:
        """Lose the answers to so many of the next statements, whatever they are: those that commit by themselves too."""
        self._answers_to_lose += count

    @property
    def is_losing(self) -> bool:
        """True while there is something left to lose."""
        return self._commits_to_lose > 0 or self._answers_to_lose > 0 or bool(self._awaiting)

    def lose_no_more(self) -> None:
        """Whatever is left to lose is not lost."""
        self._commits_to_lose = self._answers_to_lose = 0

    async def from_client(self, link: Link, piece: bytes) -> bytes:
        if self._commits_to_lose and piece.endswith(_COMMIT):
            self._commits_to_lose -= 1
            self._awaiting.add(link)
        elif self._answers_to_lose and piece[:1] in (b"B", b"E"):
            self._answers_to_lose -= 1
            self._awaiting.add(link)
        return piece

    async def from_server(self, link: Link, piece: bytes) -> bytes:
        if link not in self._awaiting:
            return piece
        if piece[-6:-1] == _READY:
            self._awaiting.discard(link)
            self.lost += 1
            link.reset()
        return b""
