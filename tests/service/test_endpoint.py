"""A teacher behind an address: where it is asked, with which key, and what is made of what it says."""

import select
import socket
import threading

import pytest

from studio.errors import AccessError, DataError
from studio.service import answering, endpoint
from studio.service.acts import Acts
from studio.service.answering import Rules
from studio.service.asking import Answers
from studio.service.endpoint import Endpoint
from studio.service.people import Person
from tests.service.conftest import PROMPTS, Hurry, asked


def test_a_busy_server_is_asked_again_as_late_as_it_says(home, teacher):
    teacher.troubles = [(429, {"Retry-After": "7"}, {}), (503, {}, {})]
    stop = Hurry()
    answers, _ = asked(home, teacher, PROMPTS[:1], stop=stop)
    assert len(answers.said) == 1
    assert stop.waits == [7, 14]


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


def test_what_a_server_does_not_take_is_left_out_of_the_questions_after(home, teacher):
    teacher.takes_not = {
        "max_tokens": "Unsupported parameter: 'max_tokens' is not supported, use 'max_completion_tokens' instead.",
        "temperature": "Unsupported value: 'temperature' does not support 0.7 with this model.",
    }
    teacher.gives_probabilities = False
    answers, _ = asked(home, teacher, at_once=1)
    assert len(answers.said) == 6 and not answers.refused
    assert len(teacher.asked) == 6 + 3
    assert set(teacher.asked[-1]) == {"model", "messages", "seed", "max_completion_tokens"}


def test_an_answer_that_breaks_off_in_the_middle_is_asked_for_again(home, teacher):
    teacher.troubles = [(200, {"Content-Length": "999", "Connection": "close"}, {})]
    answers, _ = asked(home, teacher, PROMPTS[:1])
    assert (len(teacher.asked), answers.said[0].text) == (2, f"It is so:\u2028{PROMPTS[0]}")


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


def in_answer(content, usage=None, **choice):
    return {"choices": [{"message": {"content": content}, **choice}], "usage": usage}


def test_an_answer_in_parts_is_one_text_and_one_that_a_filter_ended_is_none(home, teacher):
    parts = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "It is "}, {"type": "text", "text": "2"}]
    teacher.troubles = [(200, {}, in_answer(parts)), (200, {}, in_answer("It i", finish_reason="content_filter"))]
    answers, _ = asked(home, teacher, PROMPTS[:2], at_once=1)
    assert [answers.said[number].text for number in range(2)] == ["It is 2", ""]


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (in_answer("So", {"prompt_tokens": float("inf")}), "does not answer as OpenAI's interface"),
        (in_answer({"text": "So"}), "does not answer as OpenAI's interface"),
        (in_answer(["So"]), "does not answer as OpenAI's interface"),
        ([], "does not answer as OpenAI's interface"),
        ({"error": {"message": "The model is loading."}}, "answers with an error: The model is loading[.]"),
    ],
)
def test_what_is_no_answer_is_told_and_not_kept(home, teacher, odd, told):
    teacher.troubles = [(200, {}, odd)]
    with pytest.raises(DataError, match=told):
        asked(home, teacher, PROMPTS[:1])
    answers, _ = asked(home, teacher, PROMPTS[:1])
    assert answers.known == 0


def test_a_probability_that_is_no_number_is_not_told(home, teacher):
    odd = in_answer("So", logprobs={"content": [{"token": "So", "logprob": float("nan")}]})
    teacher.troubles = [(200, {}, odd)]
    answers, _ = asked(home, teacher, PROMPTS[:1])
    assert answers.said[0].log_probability is None


def test_half_a_letter_in_an_answer_is_kept_and_saved(home, store, teacher):
    teacher.says = "a smile: \ud83d"
    answers, _ = asked(home, teacher, PROMPTS * 4)
    assert asked(home, teacher, PROMPTS * 4)[1][0].known == 24
    table, _ = answering.table(answering.Prompts(PROMPTS * 4), answers, Rules())
    assert set(table.table["answer"]) == {"a smile: \ufffd"}


def test_a_key_that_the_server_says_again_is_not_told(home, teacher, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "s3cret-key")
    teacher.troubles = [(404, {}, {"error": {"message": "no model for s3cret-key"}})]
    with pytest.raises(DataError, match="no model for …"):
        asked(home, teacher, PROMPTS[:1], key="MY_API_KEY")


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["headers", "body"])
def test_a_server_that_sends_letter_by_letter_without_end_is_given_up(home, teacher, monkeypatch, begun):
    monkeypatch.setattr(endpoint, "LONGEST", 0.1)
    monkeypatch.setattr(endpoint, "TRIES", 1)

    heard = []

    def drip(server):
        with server.accept()[0] as asked:
            asked.recv(1 << 16)
            asked.sendall(begun)
            for _ in range(1_000):
                if select.select([asked], [], [], 0.005)[0]:
                    return
                asked.sendall(b" ")
            ended = b"" if begun.endswith(b"\n\r\n") else b"\r\n\r\n"
            heard.append("to its end")
            asked.sendall(ended + b'{"choices": [{"message": {"content": "late"}}]}')

    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=drip, args=(server,), daemon=True)
        sender.start()
        teacher.address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with pytest.raises(DataError, match=r"asked 1 times: .* (not here after|does not answer)"):
            asked(home, teacher, PROMPTS[:1])
        sender.join(60)
    assert not heard
