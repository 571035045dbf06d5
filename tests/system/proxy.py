"""A network that misbehaves: stands between workers and a server, and delays, swallows or ends what passes."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass

HERE = "127.0.0.1"
CHUNK = 256 * 1024  # bytes read at once
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # of SO_LINGER: the other side is told that the connection broke


@dataclass(eq=False)
class Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def reset(self) -> None:
        """Break it, on both sides."""
        for side in (self.client, self.server):
            found = side.get_extra_info("socket")
            if found is not None:
                with contextlib.suppress(OSError):
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            side.transport.abort()


class Proxy:
    """Passes everything on until it is told otherwise. Always on the same port."""

    def __init__(self, port: int, server_port: int) -> None:
        self.port = port
        self.seconds_each_way = 0.0  # how long a piece is under way
        self._server_port = server_port
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._links: set[Link] = set()
        self._accepting: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Let connections in."""
        self._server = await asyncio.start_server(self._accept, HERE, self.port)

    async def close(self) -> None:
        """End all."""
        self.cut()
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)

    def reset(self) -> None:
        """Break every connection; new ones are let in at once."""
        for link in list(self._links):
            link.reset()

    def cut(self) -> None:
        """Break every connection, and refuse new ones until it is opened again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset()

    def swallow(self) -> None:
        """Connections stay open and new ones are let in, but nothing arrives any more, in neither direction."""
        self._flows.clear()

    def heal(self) -> None:
        """Pass on again, what was swallowed included; no delay."""
        self.seconds_each_way = 0.0
        self._flows.set()

    async def from_client(self, link: Link, piece: bytes) -> bytes:
        """What the server is to get."""
        return piece

    async def from_server(self, link: Link, piece: bytes) -> bytes:
        """What the client is to get."""
        return piece

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._accepting.add(task)
        try:
            await self._serve(reader, client)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            client.transport.abort()
            self._accepting.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection(HERE, self._server_port)
        link = Link(client, server)
        self._links.add(link)
        ways = [
            asyncio.create_task(self._pass_on(link, reader, server, forth=True)),
            asyncio.create_task(self._pass_on(link, answers, client, forth=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._links.discard(link)
            server.transport.abort()

    async def _pass_on(
        self, link: Link, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, forth: bool
    ) -> None:
        look = self.from_client if forth else self.from_server
        while piece := await source.read(CHUNK):
            await self._flows.wait()
            if self.seconds_each_way:
                await asyncio.sleep(self.seconds_each_way)
            if piece := await look(link, piece):
                target.write(piece)
                await target.drain()
