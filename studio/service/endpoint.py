"""A model behind an address that speaks as OpenAI's does: llama.cpp, vLLM, Ollama and most services do.

The key comes from a variable of the environment, is sent to that host alone, and is written nowhere. An address of this
machine or its network is asked only where `STUDIO_TEACHER_PRIVATE` is 1, and then also without TLS.
"""

import http.client
import json
import math
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import SplitResult

from studio.errors import DataError
from studio.service import web

SECONDS, LONGEST = 300.0, 900.0
"""For how long a server may say nothing while it writes, and how long an answer may take."""

TRIES, FIRST_WAIT, LONGEST_WAIT = 6, 1.0, 60.0
"""So often a question is asked where a server is busy or does not answer; it waits twice as long each time."""

BUSY = (408, 409, 425, 429, 500, 502, 503, 504, 529)
OF_THE_QUESTION = (400, 413, 422)
"""What a server says of one question, such as that it is too long; others may do."""

MOST_BYTES = 16 * 1024**2
"""No answer is longer."""

LONGEST_MESSAGE = 200
"""So many letters of what a server says is wrong are told."""

PRIVATE, KEYS = "STUDIO_TEACHER_PRIVATE", "_API_KEY"


@dataclass(frozen=True)
class Said:
    """An answer: its text, the tokens of question and answer as the server counts them, the mean log-probability of its
    tokens where the server gives them, and whether it was cut off. `trouble`: why this question was refused;
    `is_estimated`: the server counts no tokens, they are those that such texts have."""

    text: str
    read: int
    written: int
    log_probability: float | None = None
    is_cut: bool = False
    trouble: str = ""
    is_estimated: bool = False


@dataclass(frozen=True)
class Endpoint:
    """Where to ask and how. `address` ends before `/chat/completions`; `key` names the variable that holds the key; ""
    sends none. Repr and fields hold no secret."""

    address: str
    model: str
    key: str = ""
    most_tokens: int = 256
    temperature: float = 1.0
    system: str = ""

    def ask(
        self, prompt: str | Sequence[Mapping[str, str]], seed: int, stop: threading.Event, refused: set[str]
    ) -> Said | None:
        """One question, asked again where the server is busy; None where `stop` is set before it is answered. `refused`
        fills with the names of what this server takes in no question, and is not sent again. Raises `DataError` where
        it does not answer at all, or refuses to."""
        asked = (
            [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(message) for message in prompt]
        )
        begun = [{"role": "system", "content": self.system}] if self.system else []
        body = {"model": self.model, "messages": [*begun, *asked], "max_tokens": self.most_tokens,
                "temperature": self.temperature, "seed": seed, "logprobs": True}  # fmt: skip
        for name in refused:
            _leave_out(body, name)
        wait, last, tries = 0.0, "", 0
        while tries < TRIES:
            if stop.wait(wait):
                return None
            try:
                status, headers, raw = self._posted(body)
            except (OSError, http.client.HTTPException) as error:
                last, wait = f"it does not answer: {error or type(error).__name__}", _longer(wait)
                tries += 1
                continue
            if status == 200:
                return self._said(raw)
            odd = _not_taken(body, self._message(raw)) if status in (400, 422) else ""
            if odd:
                _leave_out(body, odd)
                refused.update({odd} if odd in self._message(raw) else ())
                wait = 0.0
                continue
            if status in OF_THE_QUESTION:
                return Said("", 0, 0, trouble=self._message(raw) or f"{status}")
            if status not in BUSY:
                raise self._refused(status, raw)
            last, tries = f"it answers with {status}", tries + 1
            wait = _asked_to_wait(headers) or _longer(wait)
        raise DataError(f"{self.host} was asked {TRIES} times: {last}.", _LATER)

    @property
    def decides(self) -> dict[str, object]:
        """What decides its answers, which the key is not."""
        return {name: value for name, value in asdict(self).items() if name != "key"}

    @property
    def host(self) -> str:
        """The name of who is asked. Raises `DataError` where the address is none."""
        return self._parts().hostname or self.address

    def check(self) -> None:
        """Raise `DataError` where nothing may be asked there, before anything is."""
        parts = self._parts()
        self._secret()
        if not _is_private_allowed():
            if parts.scheme != "https":
                raise DataError(f"{parts.hostname} would be asked without TLS.", f"Write https://; {_CURE}")
            _public(parts.hostname or "", parts.port or 443)

    def _parts(self) -> SplitResult:
        parts = web.parted(self.address, _ADDRESS)
        bare = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.password)
        if not bare or any(letter <= " " or letter == "\x7f" for letter in self.address):
            raise DataError(f"{parts.hostname or self.address!r} is no address of a model.", _ADDRESS)
        return parts

    def _secret(self) -> str:
        """The key, "" where none is sent. Raises `DataError`, which shows neither it nor what may be one."""
        if not self.key:
            return ""
        if not self.key.endswith(KEYS):
            raise DataError(f"The name of the variable that holds the key must end in {KEYS}.",
                            "Name a variable, not the key itself; no other one is sent anywhere.")  # fmt: skip
        secret = os.environ.get(self.key, "").strip()
        if not secret:
            raise DataError(f"The variable {self.key} of the environment holds no key.", f"Set {self.key}.")
        if not (secret.isascii() and secret.isprintable()):
            raise DataError(f"The key in {self.key} holds letters that no key has, such as a line break.",
                            f"Set {self.key} anew.")  # fmt: skip
        return secret

    def _posted(self, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        parts, secret = self._parts(), self._secret()
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        there = host if _is_private_allowed() else _public(host, port)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        connection = web.connection(parts.scheme, host, there, port, SECONDS)
        end = time.monotonic() + LONGEST
        try:
            with web.cut_off(connection, LONGEST):
                target = web.target(parts._replace(path=parts.path.rstrip("/") + "/chat/completions"))
                connection.request("POST", target, json.dumps(body).encode(), headers)
                response = connection.getresponse()
                raw = response.read(MOST_BYTES)
            if time.monotonic() > end:
                raise TimeoutError(f"its answer was not here after {LONGEST:.0f} seconds")
            if response.length and len(raw) < MOST_BYTES:  # it ended in the middle
                raise http.client.IncompleteRead(raw, response.length)
            return response.status, dict(response.getheaders()), raw
        finally:
            connection.close()

    def _said(self, raw: bytes) -> Said:
        try:
            return _said(json.loads(raw))
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            if message := self._message(raw):
                raise DataError(f"{self.host} answers with an error: {message}.", _LATER) from error
            raise DataError(
                f"{self.host} does not answer as OpenAI's interface does: {error!r:.120}.",
                "Give the address that ends before /chat/completions, mostly in /v1.",
            ) from error

    def _refused(self, status: int, raw: bytes) -> DataError:
        if status in (401, 403):
            cure = f"Look at the key in {self.key}." if self.key else "Name the variable that holds the key."
            return DataError(f"{self.host} does not accept the key ({status}).", cure)
        if status in range(300, 400):
            return DataError(f"{self.host} leads elsewhere ({status}), which is not followed.", "Give the address.")
        message = self._message(raw)
        return DataError(f"{self.host} refuses with {status}{message and ': '}{message}.", "Check address and model.")

    def _message(self, raw: bytes) -> str:
        """What the server says is wrong, shortened; the key is not told where it says that again."""
        message, secret = _message(raw), self._secret()
        return (message.replace(secret, "…") if secret else message)[:LONGEST_MESSAGE].rstrip(".")


_LATER = "What was answered is kept. Ask again later, or with fewer questions at a time."
_ADDRESS = "Write one such as https://HOST/v1."
_CURE = f"to ask a server of this machine or its network, set {PRIVATE}=1."


_UNKNOWN = re.compile(r"support|unrecogni[sz]ed|unknown|not (allowed|permitted)|extra", re.IGNORECASE)
"""How servers say that they do not know what they are given."""

NEWER = "max_completion_tokens"
"""What OpenAI calls the limit of tokens where a model thinks before it answers."""


def _not_taken(body: Mapping[str, Any], message: str) -> str:
    """What of a question a server does not take, by what it says is wrong; "" where it is the question itself.

    >>> _not_taken({"max_tokens": 9, "seed": 1}, "'max_tokens' is not supported: use 'max_completion_tokens' instead.")
    'max_tokens'
    >>> _not_taken({"seed": 1, "logprobs": True}, "bad request"), _not_taken({"seed": 1}, "The prompt is too long.")
    ('logprobs', '')
    """
    named = (name for name in ("logprobs", "max_tokens", "temperature", "seed") if name in body and name in message)
    found = next(named, "") if _UNKNOWN.search(message) else ""
    return found or ("logprobs" if "logprobs" in body else "")  # not every server gives them, or says why


def _leave_out(body: dict[str, Any], name: str) -> None:
    """Change a question so that it does not say this; a limit of tokens has another name then."""
    value = body.pop(name, None)
    if name == "max_tokens" and value is not None:
        body[NEWER] = value


def _is_private_allowed() -> bool:
    return os.environ.get(PRIVATE) == "1"


def _public(host: str, port: int) -> str:
    try:
        return web.public_address(host, port)
    except DataError as error:
        raise DataError(error.message, f"Check the address; {_CURE}") from error


def _asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks for."""
    delay = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(float(delay), LONGEST_WAIT) if delay.replace(".", "", 1).isdecimal() else None


def _longer(wait: float) -> float:
    """How long to wait the next time, in seconds.

    >>> _longer(0.0), _longer(1.0), _longer(50.0)
    (1.0, 2.0, 60.0)
    """
    return min(max(2 * wait, FIRST_WAIT), LONGEST_WAIT)


def _whole(text: str) -> str:
    """A text without halves of letters, as where a server cuts an emoji in two: a sign stands for each."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _message(raw: bytes) -> str:
    """What a server says is wrong."""
    try:
        found = json.loads(raw)
        error = (found.get("error") or found.get("message") or "") if isinstance(found, dict) else ""
        return _whole(str(error.get("message", "") if isinstance(error, dict) else error))
    except (ValueError, RecursionError):
        return ""


def _said(found: Any) -> Said:
    """An answer as OpenAI's interface has it. Raises all sorts of errors for what is none."""
    choice = found["choices"][0]
    usage = found.get("usage") or {}
    tokens = (choice.get("logprobs") or {}).get("content") or []
    known = [float(token["logprob"]) for token in tokens]
    mean = sum(known) / len(known) if known else None
    return Said(
        text=_whole(_text(choice)),
        read=max(0, int(usage.get("prompt_tokens") or 0)),
        written=max(0, int(usage.get("completion_tokens") or len(known))),
        log_probability=None if mean is None or math.isnan(mean) else mean,
        is_cut=choice.get("finish_reason") == "length",
    )


def _text(choice: Mapping[str, Any]) -> str:
    """What is said, which some servers give in parts; nothing where a filter ended it. Raises `TypeError` for what is
    no text."""
    content = choice["message"]["content"] or ""
    if choice.get("finish_reason") == "content_filter":
        return ""
    parts = content if isinstance(content, list) else [{"text": content}]
    return "".join(part["text"] for part in parts if part.get("type", "text") == "text")
