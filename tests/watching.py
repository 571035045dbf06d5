"""Look at a worker's pages, as a probe, a scrape or a person would."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from waiting import until

GREEN, RED = 200, 503


class Watched:
    """The pages of one worker."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def get(self, path: str, *, method: str = "GET") -> tuple[int, str]:
        """Status and body; raises OSError where nobody answers any more."""
        return await asyncio.to_thread(self._get, path, method)

    def _get(self, path: str, method: str) -> tuple[int, str]:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    async def status(self) -> dict[str, Any]:
        return json.loads((await self.get("/status"))[1])

    async def turns(self, path: str, status: int, says: str = "") -> str:
        """Wait until a page is of that status and says that; the body."""

        async def look() -> str | None:
            found, body = await self.get(path)
            return body if found == status and says in body else None

        return await until(f"{path} to be {status} and say {says!r}", look)

    async def metric(self, sample: str) -> float | None:
        """The value of a sample, written as on the page: `name{label="text"}`."""
        lines = (await self.get("/metrics"))[1].splitlines()
        found = [line for line in lines if line.startswith(sample + " ")]
        return float(found[0].rpartition(" ")[2]) if found else None


async def watched(log: Path) -> Watched:
    """The worker that writes that log, once it shows its pages."""

    async def look() -> Watched | None:
        for line in (await asyncio.to_thread(log.read_text)).splitlines():
            if "health and metrics are shown" in line:
                return Watched(json.loads(line)["port"])
        return None

    return await until("the worker to show its pages", look)
