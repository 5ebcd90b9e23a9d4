"""A teacher behind an address: asked once each, kept at once, within its budget; its answers become data."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from studio.data.uploads import Upload
from studio.errors import AccessError, DataError
from studio.service import answering, endpoint, library
from studio.service.acts import Acts
from studio.service.answering import Answers, Budget, Price, Rules
from studio.service.endpoint import Endpoint, Said
from studio.service.people import Person

PROMPTS = [f"What is {number} + 1?" for number in range(6)]


class Teacher:
    """What the server was asked, and how it is to answer: `troubles` come first, one a question."""

    def __init__(self):
        self.asked, self.keys, self.paths, self.troubles = [], [], [], []
        self.gives_probabilities = True
        self.lock = threading.Lock()

    def answer(self, body):
        prompt = body["messages"][-1]["content"]
        choice = {"message": {"role": "assistant", "content": f"It is so:\u2028{prompt}"}, "finish_reason": "stop"}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [{"token": "It", "logprob": -0.5}, {"token": " is", "logprob": -1.5}]}
        return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


@pytest.fixture
def teacher(monkeypatch):
    found = Teacher()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with found.lock:
                found.asked.append(body)
                found.paths.append(self.path)
                found.keys.append(self.headers.get("Authorization"))
                trouble = found.troubles.pop(0) if found.troubles else None
            if trouble is None and body.get("logprobs") and not found.gives_probabilities:
                trouble = (400, {}, {"error": {"message": "logprobs are not supported"}})
            status, headers, told = trouble or (200, {}, found.answer(body))
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


def asked(home, teacher, prompts=PROMPTS, key="", waits=None, **how):
    answers = Answers()
    there = Endpoint(teacher.address, "large", key)
    sleep = (lambda seconds: None) if waits is None else waits.append
    return answers, list(answering.ask(home, prompts, there, answers, sleep=sleep, **how))


def test_every_prompt_is_asked_once_and_never_again(home, teacher):
    answers, told = asked(home, teacher)
    assert (told[0].done, told[-1].done, told[-1].tokens) == (0, 6, 90)
    assert {said.text for said in answers.said.values()} == {f"It is so:\u2028{prompt}" for prompt in PROMPTS}
    assert answers.said[0].log_probability == -1
    again, told = asked(home, teacher)
    assert again.said == answers.said
    assert (told[-1].known, told[-1].tokens, len(teacher.asked)) == (6, 0, 6)


def test_the_same_prompt_asked_for_twice_is_two_answers(home, teacher):
    answers, _ = asked(home, teacher, PROMPTS[:1] * 2)
    assert len(answers.said) == len(teacher.asked) == 2
    assert teacher.asked[0]["seed"] != teacher.asked[1]["seed"]


def test_a_budget_ends_asking_and_a_larger_one_goes_on(home, teacher):
    price = Price(read=1000.0, written=2000.0)  # a question costs 0.02
    _, told = asked(home, teacher, price=price, budget=Budget(money=0.05), at_once=1)
    assert (told[-1].done, told[-1].is_over_budget) == (3, True)
    assert told[-1].money == pytest.approx(0.06)
    _, told = asked(home, teacher, budget=Budget(tokens=30), at_once=1)
    assert (told[-1].done, told[-1].is_over_budget) == (5, True)
    assert len(teacher.asked) == 5


def test_a_busy_server_is_asked_again_as_late_as_it_says(home, teacher):
    teacher.troubles = [(429, {"Retry-After": "7"}, {}), (503, {}, {})]
    waits = []
    answers, _ = asked(home, teacher, PROMPTS[:1], waits=waits)
    assert len(answers.said) == 1
    assert waits == [7, 14]


def test_a_server_that_stays_busy_is_given_up_and_what_was_said_is_kept(home, teacher):
    asked(home, teacher, PROMPTS[:2])
    teacher.troubles = [(500, {}, {})] * endpoint.TRIES
    with pytest.raises(DataError, match="asked 6 times: it answers with 500"):
        asked(home, teacher, at_once=1)
    answers, told = asked(home, teacher)
    assert (told[-1].known, len(answers.said)) == (2, 6)


def test_a_server_without_log_probabilities_is_asked_without(home, teacher):
    teacher.gives_probabilities = False
    answers, _ = asked(home, teacher, PROMPTS[:1])
    assert answers.said[0].log_probability is None


def test_the_key_is_sent_and_stands_nowhere(home, teacher, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "s3cret-key")
    asked(home, teacher, key="MY_API_KEY")
    assert set(teacher.keys) == {"Bearer s3cret-key"}
    assert all(b"s3cret-key" not in file.read_bytes() for file in home.root.rglob("*") if file.is_file())
    assert "s3cret" not in repr(Endpoint(teacher.address, "large", "MY_API_KEY"))
    teacher.troubles = [(401, {}, {"error": {"message": "wrong key s3cret-key"}})]
    with pytest.raises(DataError, match="does not accept the key") as error:
        asked(home, teacher, ["another"], key="MY_API_KEY")
    assert "s3cret" not in str(error.value)


def test_a_line_break_after_the_key_is_not_sent_and_no_error_shows_a_key(home, teacher, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "s3cret-key\n")
    asked(home, teacher, PROMPTS[:1], key="MY_API_KEY")
    assert teacher.keys == ["Bearer s3cret-key"]
    for wrong in ("s3cret\nkey", "s3cret-ключ"):
        monkeypatch.setenv("MY_API_KEY", wrong)
        with pytest.raises(DataError, match="holds letters that no key has") as error:
            asked(home, teacher, key="MY_API_KEY")
        assert "s3cret" not in str(error.value)
    with pytest.raises(DataError, match="must end in _API_KEY") as error:
        asked(home, teacher, key="sk-s3cret")
    assert "s3cret" not in str(error.value)
    assert len(teacher.asked) == 1


def test_a_variable_without_a_key_is_told_before_anything_is_asked(home, teacher):
    with pytest.raises(DataError, match="MY_MISSING_API_KEY of the environment holds no key"):
        asked(home, teacher, key="MY_MISSING_API_KEY")
    assert not teacher.asked


def test_no_other_variable_is_sent_and_only_an_admin_asks(home, store, teacher, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    with pytest.raises(DataError, match="must end in _API_KEY"):
        asked(home, teacher, key="DATABASE_PASSWORD")
    member = Acts(Person("ada", "member"), home, store)
    with pytest.raises(AccessError):
        next(member.have_answered(PROMPTS, Endpoint(teacher.address, "large"), Answers()))
    assert not teacher.asked
    list(
        Acts(Person("eve", "admin"), home, store).have_answered(PROMPTS, Endpoint(teacher.address, "large"), Answers())
    )
    assert len(teacher.asked) == 6
    assert "6 prompts of 127.0.0.1" in [entry.about for entry in store.audit()]


def test_this_machine_is_asked_only_where_its_user_says_so(home, teacher, monkeypatch):
    monkeypatch.delenv(endpoint.PRIVATE)
    for address in (teacher.address, teacher.address.replace("http://", "https://")):
        teacher.address = address
        with pytest.raises(DataError, match=endpoint.PRIVATE):
            asked(home, teacher)
    assert not teacher.asked


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(home, teacher, monkeypatch):
    monkeypatch.delenv(endpoint.PRIVATE)
    told, opened = [(None, None, None, None, ("93.184.216.34", 443))], []

    def connect(address, *_, **__):
        opened.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: told)
    monkeypatch.setattr("socket.create_connection", connect)
    teacher.address = "https://teacher.example/v1"
    with pytest.raises(DataError, match=r"teacher\.example was asked 6 times"):
        asked(home, teacher, PROMPTS[:1])
    assert set(opened) == {("93.184.216.34", 443)}  # a name could mean this machine by now


@pytest.mark.parametrize("address", ["http://h:x/v1", "http://h:99999/v1", "https://[abc", "http://a..b/v1", "ftp://h",
                                     "http://me:pw@h/v1", "http://h/v 1", ""])  # fmt: skip
def test_what_is_no_address_is_told_so_and_nothing_is_noted(home, store, teacher, address):
    admin = Acts(Person("eve", "admin"), home, store)
    with pytest.raises(DataError, match="is no address"):
        next(admin.have_answered(PROMPTS, Endpoint(address, "large"), Answers()))
    assert not store.audit()


def test_a_path_in_other_letters_and_a_query_are_asked_as_they_stand(home, teacher):
    teacher.address += "/ü?version=2"
    asked(home, teacher, PROMPTS[:1])
    assert teacher.paths == ["/v1/%C3%BC/chat/completions?version=2"]


@pytest.mark.parametrize("status", [302, 404])
def test_where_it_leads_elsewhere_or_has_no_such_model_is_told_at_once(home, teacher, status):
    teacher.troubles = [(status, {"Location": "http://127.0.0.1:1/"}, {"error": {"message": "no model 'large'"}})]
    with pytest.raises(DataError, match="leads elsewhere" if status == 302 else "no model 'large'"):
        asked(home, teacher, PROMPTS[:1])
    assert len(teacher.asked) == 1


def test_a_prompt_that_is_refused_is_left_out_and_others_are_asked(home, teacher):
    refusal = (400, {}, {"error": {"message": "too long"}})
    asked(home, teacher, PROMPTS[:1])
    teacher.troubles = [refusal, refusal]  # the second time without log-probabilities
    answers, told = asked(home, teacher, at_once=1)
    assert told[-1].done == 6
    _, (refused,) = answering.table(PROMPTS, answers, Rules(copies=True))
    assert (refused.reason, refused.lines, refused.rows) == ("refused by its server", (2,), ("too long",))
    assert asked(home, teacher)[1][0].known == 5  # it is asked again
    teacher.troubles = [refusal] * 9
    with pytest.raises(DataError, match="first 3 prompts were refused: too long"):
        asked(home, teacher, [f"other {number}" for number in range(9)], at_once=1)


def test_a_line_that_was_half_written_is_asked_for_again_and_spoils_no_other(home, teacher):
    asked(home, teacher, PROMPTS[:2])
    file = answering.kept_in(home, Endpoint(teacher.address, "large"), 0)
    file.write_bytes(file.read_bytes()[:-9])
    answers, told = asked(home, teacher)
    assert (told[-1].known, len(answers.said)) == (1, 6)
    assert len(answering.read(file)) == 6


def test_answers_become_data_but_for_those_that_the_rules_leave_out():
    answers = Answers(said={
        0: Said("A good answer.", 1, 1), 1: Said("  ", 1, 1), 2: Said("As an AI model I cannot.", 1, 1),
        3: Said("What is 3 + 1?", 1, 1), 4: Said("cut", 1, 1, is_cut=True), 5: Said("unlikely", 1, 1, -5.0),
    })  # fmt: skip
    found, refused = answering.table(PROMPTS, answers, Rules(without="As an AI", likely=-3.0))
    assert found.table.to_dict("records") == [{"prompt": PROMPTS[0], "answer": "A good answer."}]
    assert {one.reason.partition(" ")[0]: one.lines for one in refused} == {
        "empty": (2,), "matches": (3,), "copied": (4,), "cut": (5,), "less": (6,)}  # fmt: skip
    with pytest.raises(DataError, match="No answer is left"):
        answering.table(PROMPTS, answers, Rules(longest=2))


def test_a_chat_is_asked_up_to_the_last_question_and_splits_stay(store, home, teacher):
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "And now?"}, {"role": "assistant", "content": "No."}]  # fmt: skip
    more = [f"What is {number} + 1?" for number in range(12)]
    cells = [json.dumps(chat), *(json.dumps([{"role": "user", "content": one}]) for one in more)]
    splits = ["train"] * 10 + ["validation", "test", "test"]
    upload = Upload("table", pd.DataFrame({"messages": cells, "split": splits}, dtype=object))
    prompts, found = answering.prompts_of(upload, None)
    assert (prompts[0], found) == (chat[:3], splits)
    answers, _ = asked(home, teacher, prompts)
    table, _ = answering.table(prompts, answers, Rules(copies=True), found)
    row = library.add(store, home, library.Files(table), name="answered", task="language-model").row
    assert row.splits == {"train": 10, "validation": 1, "test": 2}
