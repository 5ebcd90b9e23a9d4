"""Runs whose workers are played, what is asked about them, and a teacher behind an address."""

import functools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from studio.config.reading import parse_config
from studio.executors import local
from studio.machine.identity import new_owner
from studio.service import endpoint
from tests.conftest import TINY, fake


def execute_fake(manner):
    return functools.partial(local.execute, command=fake(manner))


@pytest.fixture
def run(store, saved):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key="k", owner=new_owner())


def workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [process for process in children if "fake_worker" in " ".join(process.cmdline())]


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def submit(store, key="k", **values):
    return store.submit(parse_config({"dataset": "reviews", **TINY}), key=key, **values)


class AddressedTeacher:
    """What the server was asked, and how it is to answer: `troubles` come first, one a question."""

    def __init__(self):
        self.asked, self.keys, self.paths, self.troubles = [], [], [], []
        self.held, self.busy, self.missing, self.refused, self.says = set(), set(), set(), set(), None
        self.usage = {"prompt_tokens": 10, "completion_tokens": 5}
        self.gives_probabilities, self.takes_not = True, {}
        self.lock, self.go_on = threading.Lock(), threading.Event()

    def trouble(self, body):
        prompt = body["messages"][-1]["content"]
        if prompt in self.busy:
            return 429, {"Retry-After": "3600"}, {}
        if prompt in self.missing:
            while len(self.asked) <= len(self.held):  # the others are under way
                time.sleep(0.01)
            return 404, {}, {}
        if prompt in self.refused:
            return 400, {}, {"error": {"message": "too long"}}
        for name in self.takes_not.keys() & body.keys():
            return 400, {}, {"error": {"message": self.takes_not[name]}}
        if body.get("logprobs") and not self.gives_probabilities:
            return 400, {}, {"error": {"message": "logprobs are not supported"}}
        if prompt in self.held:
            self.go_on.wait(60)
        return None

    def answer(self, body):
        prompt = body["messages"][-1]["content"]
        text = self.says or f"It is so:\u2028{prompt}"
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        if body.get("logprobs") and self.usage:
            choice["logprobs"] = {"content": [{"token": "It", "logprob": -0.5}, {"token": " is", "logprob": -1.5}]}
        return {"choices": [choice], "usage": self.usage}


@pytest.fixture
def teacher(monkeypatch):
    """A server on this machine that answers as those of language models do."""
    found = AddressedTeacher()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with found.lock:
                found.asked.append(body)
                found.paths.append(self.path)
                found.keys.append(self.headers.get("Authorization"))
                trouble = found.troubles.pop(0) if found.troubles else None
            status, headers, told = trouble or found.trouble(body) or (200, {}, found.answer(body))
            raw = json.dumps(told).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    found.address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    monkeypatch.setenv(endpoint.PRIVATE, "1")
    yield found
    server.shutdown()
    server.server_close()
