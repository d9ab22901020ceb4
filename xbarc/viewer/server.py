"""The server of `xbarc view --serve`: for this machine, read-only, no path of a URL is opened."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from xbarc.errors import InputError
from xbarc.pages import content_policy
from xbarc.viewer.arrays import ArrayBytes
from xbarc.viewer.page import ProgramPage

HOST = "127.0.0.1"
"""The loopback interface: no other machine reaches it."""

# Nine digits hold every number of an array, and bound what is parsed.
_PATH = re.compile(r"/(array|layer|wires)/([0-9]{1,9})")


class _Server(ThreadingHTTPServer):
    """Answers for one program.

    Args:
        port: 0 takes a free one.
        source: gives everything but the page.

    Attributes:
        page: what `/` gives.
    """

    # A browser that holds its connection must not keep the process alive.
    daemon_threads = True

    def __init__(self, port: int, source: ArrayBytes) -> None:
        super().__init__((HOST, port), _Handler)
        self.page = b""
        program = source.program
        self.makers: dict[str, tuple[Callable[[int], bytes], int]] = {
            "array": (source.array, program.arrays),
            "layer": (source.layer, len(program.steps)),
            "wires": (source.wires, program.arrays if source.has_wires else 0),
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away; anything else is ours."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser on this machine calls it."""
        names = (HOST, "localhost")
        # Browsers leave out the usual port.
        bare = names if self.server_port == 80 else ()
        return (*bare, *(f"{name}:{self.server_port}" for name in names))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "xbarc"
    sys_version = ""
    timeout = 30  # seconds that an idle connection is held

    def do_GET(self) -> None:
        """Give the page, or bytes of one array or layer."""
        # A page of another site whose name was made to point here would send that name.
        if self.headers.get("Host") not in self.server.hosts:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"ask for 127.0.0.1\n", "text/plain")
            return
        if self.path == "/":
            self._send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
            return
        found = _PATH.fullmatch(self.path)
        make, count = self.server.makers[found[1]] if found else (None, 0)
        if found is None or make is None or int(found[2]) >= count:
            self._send(HTTPStatus.NOT_FOUND, b"no such page\n", "text/plain")
            return
        self._send(HTTPStatus.OK, make(int(found[2])), "application/octet-stream")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", content_policy(asks_server=True))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Nothing: requests are no news."""


def page_server(page: ProgramPage, port: int) -> ThreadingHTTPServer:
    """A server for a program, which listens already; `serve_forever` answers.

    Args:
        page: what it shows.
        port: 0 takes a free one.

    Raises:
        InputError: the port is taken, or is not for everyone.
    """
    source = page.source()
    try:
        server = _Server(port, source)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "is taken by another process" if taken else f"is refused: {error.strerror}"
        raise InputError(
            f"port {port} {reason}", where="--port", hint="another one, or 0 for any free one"
        ) from error
    # After the port, whose error should not wait for it.
    server.page = page.render_served(source).encode("utf-8", "replace")
    return server
