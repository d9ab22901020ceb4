"""The server answers this machine alone, for what it knows by number, and opens nothing else."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chromium import dump_page, needs_chromium
from tests.report.programs import small_program
from tests.viewer.test_arrays import held
from xbarc.errors import InputError
from xbarc.viewer import ArrayBytes, ProgramPage, page_server
from xbarc.viewer.server import HOST


@contextmanager
def serving(*overrides: str) -> Iterator[int]:
    """The port of a server of the small program."""
    with page_server(ProgramPage(small_program(*overrides), "net.xbar"), 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


def ask(
    port: int, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", f"{HOST}:{port}" if host is None else host)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def test_the_page_asks_for_what_the_server_gives(port: int) -> None:
    status, body, headers = ask(port, "/")
    assert status == 200
    assert "default-src 'none'; connect-src 'self'" in headers["Content-Security-Policy"]
    text = body.decode()
    assert held(text, "overview")["served"] is True
    assert held(text, "held") == {}
    source = ArrayBytes(small_program())
    for kind, make, count in (
        ("array", source.array, 5),
        ("layer", source.layer, 3),
        ("wires", source.wires, 5),
    ):
        for number in range(count):
            assert ask(port, f"/{kind}/{number}")[:2] == (200, make(number))
        assert ask(port, f"/{kind}/{count}")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "//etc/passwd",
        "/array/../../../etc/passwd",
        "/array/0/../1",
        "/array/-1",
        "/array/0?x",
        "/array/%30",
        "/array/99999999999999999999",
        "/program.json",
        "/cells.safetensors",
        "http://127.0.0.1/",
    ],
)
def test_nothing_else_is_there(port: int, path: str) -> None:
    assert ask(port, path)[0] == 404


@given(path=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30))
def test_any_path_is_answered(port: int, path: str) -> None:
    status, body, _ = ask(port, "/" + path)
    assert status in (200, 404)
    # The library takes several slashes at the beginning for one.
    first = path.lstrip("/").partition("/")[0]
    assert status == 404 or first in ("", "array", "layer", "wires")
    assert len(body) < 1 << 20


@pytest.mark.parametrize("host", ["evil.example", "", "127.0.0.1", "localhost:1", "0.0.0.0:80"])
def test_a_name_that_was_made_to_point_here_is_refused(port: int, host: str) -> None:
    status, body, _ = ask(port, "/array/0", host=host)
    assert status == 421
    assert b"127.0.0.1" in body


def test_this_machine_may_be_called_by_its_name(port: int) -> None:
    assert ask(port, "/array/0", host=f"localhost:{port}")[0] == 200


def test_browsers_leave_out_the_usual_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with page_server(ProgramPage(small_program(), "net.xbar"), 0) as server:
        assert HOST not in server.hosts  # type: ignore[attr-defined]
        monkeypatch.setattr(server, "server_port", 80)
        assert {HOST, "localhost", f"{HOST}:80"} < {*server.hosts}  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_it_only_gives(port: int, method: str) -> None:
    assert ask(port, "/", method)[0] == 501


@pytest.mark.slow
@needs_chromium
def test_a_browser_asks_for_the_array_it_shows(port: int, tmp_path: Path) -> None:
    url = f"http://{HOST}:{port}/#array=1&row=2&bitline=1"
    shown = dump_page(url, tmp_path, "--virtual-time-budget=10000")
    assert 'data-ready="yes"' in shown
    assert 'data-cell="2,1"' in shown
    step = small_program().crossbar_steps[0]
    assert f"Level {step.cells.unpack()[0, 2, 5]} of 3" in shown


def test_only_the_loopback_listens(port: int) -> None:
    with socket.socket() as other:
        # Another address of the loopback network is another address: nobody listens there.
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_a_browser_that_goes_away_is_no_news(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        with socket.create_connection((HOST, port)) as gone:
            gone.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
    assert ask(port, "/")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_taken_port_is_one_message(port: int) -> None:
    page = ProgramPage(small_program(), "net.xbar")
    with pytest.raises(InputError, match=rf"--port: port {port} is taken by another process"):
        page_server(page, port)


def test_wires_without_resistance_are_not_there() -> None:
    none = [f"wires.{name}=0.0" for name in ("wordline", "bitline", "driver", "sense")]
    with serving(*none) as port:
        assert ask(port, "/wires/0")[0] == 404
        assert held(ask(port, "/")[1].decode(), "overview")["wires"] is False
