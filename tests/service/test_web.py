"""A file by its address: only from the internet, only so much of it."""

import contextlib
import http.server
import itertools
import shutil
import socket
import threading
from types import SimpleNamespace

import pytest

from studio.data import uploads
from studio.errors import DataError, DiskError, LimitError
from studio.service import sources, web
from tests.conftest import reviews

HOSTS = {"files.example": "93.184.216.34", "other.example": "93.184.216.35", "inner.example": "10.0.0.7",
         "both.example": "93.184.216.36", "six.example": "::1"}  # fmt: skip
CSV = reviews(60).table.to_csv(index=False).encode()


@pytest.fixture
def internet(monkeypatch):
    """{path: (status, headers, body)} of every host; `asked` lists who was connected to. No packet leaves."""
    pages, asked = {}, []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = pages.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in ({"Content-Length": len(body)} | headers).items():
                if value is not None:
                    self.send_header(name, str(value))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    real = socket.getaddrinfo

    def resolve(host, port, *words, **more):
        if host == "127.0.0.1":
            return real(host, port, *words, **more)
        if host not in HOSTS:
            return real(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOSTS[host], port))]
        private = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.1.1", port))
        return [*found, private] if host == "both.example" else found

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def opened(address, port, host, seconds):
        asked.append((address, port))
        return socket.create_connection(("127.0.0.1", server.server_address[1]))

    monkeypatch.setattr(web, "_opened", opened)
    yield pages, asked
    server.shutdown()
    server.server_close()


def moved(to, status=302):
    return status, {"Location": to}, b""


def test_a_table_is_fetched_with_progress_and_read(internet, tmp_path):
    pages, _ = internet
    pages["/a/films.csv?v=1"] = (200, {}, CSV)
    told = []
    upload = sources.bring("https://files.example/a/films.csv?v=1", tell=lambda *values: told.append(values))
    assert len(upload.table) == 60
    assert told[-1] == (len(CSV), len(CSV))


def test_a_redirect_to_another_public_host_is_followed(internet, tmp_path):
    pages, asked = internet
    pages |= {"/a": moved("https://other.example/b"), "/b": moved("/c.csv", 307), "/c.csv": (200, {}, CSV)}
    assert web.download("https://files.example/a", tmp_path).name == "c.csv"
    assert asked == [("93.184.216.34", 443), ("93.184.216.35", 443), ("93.184.216.35", 443)]


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/a", "https://localhost.localdomain.invalid/a", "https://[::1]/a", "https://10.1.2.3/a",
        "https://169.254.169.254/latest", "https://inner.example/a", "https://both.example/a", "https://six.example/a",
        "https://[::ffff:10.0.0.1]/a", "https://[64:ff9b::7f00:1]/a", "https://[2002:7f00:1::]/a", "https://0.0.0.0/a",
        "https://100.64.0.1/a", "https://224.0.0.1/a", "https://2130706433/a", "http://files.example/a",
        "ftp://files.example/a", "file:///etc/passwd", "https://me:secret@files.example/a",
        "https://files.example:x/a", "https://files.example/a b",
    ],
)  # fmt: skip
def test_nothing_is_asked_of_this_machine_its_network_or_without_https_also_when_redirected(
    internet, tmp_path, address
):
    pages, asked = internet
    with pytest.raises(DataError):
        web.download(address, tmp_path)
    assert asked == []
    pages["/away"] = moved(address)
    with pytest.raises(DataError):
        web.download("https://files.example/away", tmp_path)
    assert asked == [("93.184.216.34", 443)]


def test_redirects_without_end_come_to_one(internet, tmp_path):
    pages, asked = internet
    pages["/a"] = moved("/a")
    with pytest.raises(DataError, match="leads on more than 5 times"):
        web.download("https://files.example/a", tmp_path)
    assert len(asked) == 6


@pytest.mark.parametrize("said", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["wait", "a body"])
def test_a_server_that_never_comes_to_an_end_is_cut_off(internet, tmp_path, monkeypatch, said):
    listener = socket.create_server(("127.0.0.1", 0))

    def go_on():
        with contextlib.suppress(OSError), listener.accept()[0] as there:
            while True:
                there.sendall(said)

    threading.Thread(target=go_on, daemon=True).start()
    monkeypatch.setattr(web, "_opened", lambda *_: socket.create_connection(listener.getsockname()))
    monkeypatch.setattr(web, "SECONDS", 0.3)
    monkeypatch.setattr(web, "_require_small", lambda size: None)
    with pytest.raises(LimitError, match="not here after"):
        web.download("https://files.example/a.csv", tmp_path)
    listener.close()


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Length": 10**12}, {"Content-Length": None}, {"Content-Length": "9" * 5_000}]
)
def test_a_file_that_is_too_large_is_refused_whatever_is_said_of_its_size(internet, tmp_path, monkeypatch, headers):
    monkeypatch.setattr(uploads, "MAX_BYTES", 1_000)
    internet[0]["/a.csv"] = (200, headers, b"x" * 5_000)
    with pytest.raises(LimitError):
        web.download("https://files.example/a.csv", tmp_path)
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size <= 1_000


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None}])
def test_no_file_takes_the_last_of_the_disk(internet, tmp_path, monkeypatch, headers):
    left = itertools.chain([10**9 + 6_000], itertools.repeat(10**9 - 1))  # somebody else writes, too
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=10**12, free=next(left)))
    internet[0]["/a.csv"] = (200, headers, b"x" * 5_000)
    with pytest.raises(DiskError, match="nothing new is begun"):
        web.download("https://files.example/a.csv", tmp_path)
    assert not (tmp_path / "file").stat().st_size


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {}, b""), "answers with 404"),
        ((200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"), "a web page"),
        ((200, {"Content-Encoding": "gzip"}, b"x"), "packed as gzip"),
        ((200, {"Content-Length": 100}, b"x"), "1 of 100 bytes came|does not answer"),
        ((302, {}, b""), "more than 5 times"),
    ],
)
def test_what_is_no_file_is_told(internet, tmp_path, answer, message):
    internet[0]["/a"] = answer
    with pytest.raises(DataError, match=message):
        web.download("https://files.example/a", tmp_path)


def test_an_address_without_an_ending_takes_it_from_the_kind_of_file(internet, tmp_path):
    internet[0]["/export"] = (200, {"Content-Type": "text/csv; charset=utf-8"}, CSV)
    assert web.download("https://files.example/export", tmp_path).name == "export.csv"
