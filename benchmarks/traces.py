"""The worker with its traces on, and where its spans go: a collector on loopback, whose CPU is not the worker's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.contenders import Contender, worker


@dataclass
class Collector:
    """Takes what comes by OTLP over HTTP, and counts it."""

    endpoint: str = ""
    requests: int = 0


@contextmanager
def collector() -> Iterator[Collector]:
    """One that answers, until the block ends."""
    sink = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            sink.requests += 1
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.endpoint = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def traced_worker(endpoint: str) -> Contender:
    """The worker as it ships, with this one setting."""
    return replace(
        worker(),
        name="worker-traced",
        says="the same, its traces on",
        settings={"RELATIONSHIP_WORKER_TRACES_ENDPOINT": endpoint},
    )
