"""What another program hears when a run is over."""

import contextlib
import http.server
import json
import socketserver
import threading
from dataclasses import replace

import pytest

from studio.service import notify
from studio.service.runtime import Runtime
from tests.service.conftest import execute_fake, submit, wait_for


@contextlib.contextmanager
def listening():
    heard = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()


@pytest.mark.parametrize(("manner", "status", "text"), [("finish", "finished", "Done."), ("fail", "failed", "broken")])
def test_the_end_of_a_run_is_told_once(store, home, saved, monkeypatch, manner, status, text):
    with listening() as (address, heard):
        monkeypatch.setenv("STUDIO_WEBHOOK", address)
        monkeypatch.setenv("STUDIO_WEBHOOK_PRIVATE", "1")
        run = submit(store)
        runtime = Runtime(home, execute_fake(manner))
        runtime.start()
        wait_for(lambda: heard)
        runtime.stop()
    assert [(one["run"], one["status"]) for one in heard] == [(run.id, status)]
    assert text in heard[0]["text"]


def told(store, monkeypatch, address):
    monkeypatch.setenv("STUDIO_WEBHOOK", address)
    run = submit(store, owner="me")
    store.finish(run.id)
    notify.run_is_over(store.run(run.id))
    assert store.run(run.id).status == "finished"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/s3cret", "file:///etc/s3cret", "http://[broken/s3cret",
                                     "http://a..b/s3cret", "http://h:99999/s3cret"])  # fmt: skip
def test_an_address_that_fails_changes_nothing_and_is_not_in_the_log(store, saved, monkeypatch, caplog, address):
    monkeypatch.setenv("STUDIO_WEBHOOK_PRIVATE", "1")
    told(store, monkeypatch, address)
    assert ("127.0.0.1 did not take" if "127" in address else "STUDIO_WEBHOOK must be") in caplog.text
    assert "s3cret" not in caplog.text


def test_an_address_in_other_letters_hears_of_it(store, saved, monkeypatch):
    monkeypatch.setenv("STUDIO_WEBHOOK_PRIVATE", "1")
    with listening() as (address, heard):
        told(store, monkeypatch, f"{address}/ü?to=ß")
    assert [one["status"] for one in heard] == ["finished"]


def test_nothing_is_posted_to_this_machine_or_its_network_unless_that_is_allowed(store, saved, monkeypatch, caplog):
    with listening() as (address, heard):
        told(store, monkeypatch, address)
    assert not heard
    assert "an address of this machine or its network" in caplog.text


def test_a_label_in_a_message_is_no_markup_where_people_chat(store, saved, monkeypatch):
    monkeypatch.setenv("STUDIO_WEBHOOK_PRIVATE", "1")
    with listening() as (address, heard):
        monkeypatch.setenv("STUDIO_WEBHOOK", address)
        run = submit(store)
        message = "got '<!channel> <https://x.example|Sign in>'"
        notify.run_is_over(replace(store.run(run.id), status="failed", message=message))
    assert "&lt;!channel&gt;" in heard[0]["text"]
    assert "://" not in heard[0]["text"]


@contextlib.contextmanager
def answering(pieces):
    """The address of a server that answers with these bytes, one after another."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self):
            self.rfile.readline()
            with contextlib.suppress(OSError):  # whom it answers has left
                for piece in pieces:
                    self.wfile.write(piece)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook"
        finally:
            server.shutdown()


def test_an_address_that_answers_letter_by_letter_keeps_nobody_waiting(store, saved, monkeypatch):
    monkeypatch.setenv("STUDIO_WEBHOOK_PRIVATE", "1")
    monkeypatch.setattr(notify, "SECONDS", 0.3)
    over, sent = threading.Event(), []

    def slowly():  # each piece comes in time
        yield b"HTTP/1.1 200 OK\r\n"
        while not over.wait(0.1) and len(sent) < 100:
            sent.append(b"A: b\r\n")
            yield sent[-1]

    with answering(slowly()) as address:
        told(store, monkeypatch, address)
        over.set()
    assert len(sent) < 100


def test_what_an_address_answers_cannot_steer_the_terminal_that_shows_the_log(store, saved, monkeypatch, caplog):
    monkeypatch.setenv("STUDIO_WEBHOOK_PRIVATE", "1")
    with answering([b"\x1b[2J all is well\r\n\r\n"]) as address:
        told(store, monkeypatch, address)
    assert "all is well" in caplog.text
    assert "\x1b" not in caplog.text
