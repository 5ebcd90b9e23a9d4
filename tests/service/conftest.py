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
from studio.pipeline.answers import AllSpoken, Prompts, Spoken
from studio.pipeline.job import Answer
from studio.service import asking, endpoint, here
from studio.service.acts import Acts
from studio.service.asking import Answers
from studio.service.endpoint import Endpoint
from studio.service.people import Person
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
    """What the server was asked, and how it is to answer: `troubles` come first, one a question; `says` is the answer
    to all, or a function of the question."""

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
        text = self.says(body) if callable(self.says) else self.says or f"It is so:\u2028{prompt}"
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


PROMPTS = [f"What is {number} + 1?" for number in range(6)]


class Hurry(threading.Event):
    """Tells for how long it was to be waited, and does not."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits += [timeout] if timeout else []
        return self.is_set()


def asked(home, teacher, prompts=PROMPTS, key="", **how):
    answers = Answers()
    there = Endpoint(teacher.address, "large", key)
    return answers, list(asking.ask(home, prompts, there, answers, **{"stop": Hurry(), **how}))


class Talk:
    """A process that answers, played: notes what it was asked, and says how long each prompt is; `writes` is how it
    writes a list on."""

    asked: list = []
    writes = None

    def __init__(self, *_):
        self.closed = False

    def ask(self, line, hear):
        asked = Prompts.model_validate_json(line)
        Talk.asked.append(asked)
        texts = [Talk.writes([asked.seed, one]) if asked.instruction else f"It has {len(one)} letters."
                 for one in asked.prompts]  # fmt: skip
        said = [Spoken(text=text, read=4, written=6, log_probability=-1.0, is_cut=False) for text in texts]
        return Answer[AllSpoken](result=AllSpoken(said=said)).model_dump_json()

    def close(self):
        self.closed = True


@pytest.fixture
def at_home(home, store, monkeypatch, tmp_path):
    """Acts of one who may have a model of this machine answer, and its reference."""
    monkeypatch.setattr(here, "Conversation", Talk)
    Talk.asked = []
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "model.safetensors").write_bytes(b"weights")
    return Acts(Person("eve", "admin"), home, store), f"folder:{tmp_path / 'large'}"
