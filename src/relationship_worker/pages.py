"""The pages that a worker shows over HTTP: read only, and served by threads, so that a blocked event loop is told of."""

import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

import structlog

log = structlog.get_logger()

REQUEST_SECONDS = 5.0  # for a client to send its request, and to take the answer
AT_ONCE = 8  # requests; probes, a scrape and a person. Who comes on top is hung up on

Page = tuple[int, str, bytes]
"""Status, content type, body."""


class PortTaken(Exception):
    """The address can't be listened on; the message says why."""


class Pages:
    """A small HTTP server: it answers GET and HEAD by calling `show` with the path, and knows nothing else. It ends with
    the process."""

    def __init__(self, host: str, port: int, show: Callable[[str], Page | None]) -> None:
        """Raises PortTaken. `show`: called in a thread; None where there is no such page. Port 0: any free one."""
        try:
            self._server = _Server(host, port, show)
        except OSError as why:
            raise PortTaken(f"{host}:{port} can't be listened on ({why.strerror or why})") from None
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="pages", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, show: Callable[[str], Page | None]) -> None:
        self.show = show
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's own asks the network for its name

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is nobody's trouble; a page that fails is."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            log.error("a page failed", error=type(error).__name__)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "relationship-worker", ""
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        page = self.server.show(self.path.partition("?")[0])
        self._answer(page or (404, "text/plain", b"no such page\n"))

    do_HEAD = do_GET

    def _answer(self, page: Page) -> None:
        status, content_type, body = page
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds: nothing is logged of them."""
