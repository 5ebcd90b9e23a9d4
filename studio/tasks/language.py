"""Language models: text is written on, token by token; or a prompt is answered, or a chat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.errors import DataError
from studio.tasks import chats
from studio.tasks.chats import messages
from studio.tasks.next_tokens import NextTokens
from studio.tasks.task import Column, Features, Modality, Task

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from studio.tasks.augment import Changes
    from studio.tasks.encoded import Encoded

CHATS = ("messages", "conversations", "conversation", "dialog", "dialogue", "chosen")
"""What chats are called in public data sets; the last one is the better of two."""

TOOLS = ("tools", "functions")
"""What the tools that a chat may call are called there."""

LOOKED_AT = 20
PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("prompt", "answer"),
    ("prompt", "chosen"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("question", "chosen"),
    ("instruction", "chosen"),
    ("query", "response"),
    ("input", "output"),
    ("user", "assistant"),
)
"""What prompts and answers are called in public data sets."""

SUMMARIES = (
    ("article", "highlights"),
    ("article", "summary"),
    ("document", "summary"),
    ("dialogue", "summary"),
    ("text", "summary"),
)
"""What texts and their summaries are called there."""

TRANSLATION = "translation."
"""How the columns of a text in two languages begin there."""

LABELS = ("label", "labels", "class", "category", "target", "score")
ASKED = ("instruction", "prompt")
"""What nothing but a language model is given, whatever else is told of a row."""

CONTEXTS = ("input", "context")
"""What the files of Alpaca and Dolly call what belongs to an instruction."""

DOCUMENTS = "documents"
FORMS = ("text", "answer", "chat")
NO_ANSWER, UNREADABLE = "no answer", "a chat that cannot be read: each message has a role and a text"
OPENING = 200
"""Characters of a text after which a model goes on where it is tried."""


class TextToWrite:
    """A text; or a prompt, or messages, and what is answered."""

    modality: Modality = "text"
    columns = (
        Column("input", "Text or prompt", "The text to write on. With an answer: what is asked. Messages of a chat."),
        Column(
            "pair",
            "Answer",
            "What is to be written; none for plain text. Of chats the tools that may be called.",
            required=False,
        ),
    )
    builtins = ("gpt-base", "gpt-small", "gpt-tiny")
    units = ("heads", "neurons", "layers")
    quantized_form = "weights_int8"
    changes: Mapping[str, str] = {}

    def guess(self, kind: str, table: pd.DataFrame) -> dict[str, str] | None:
        if kind == DOCUMENTS:
            return {"input": "text"}
        if kind != "table":
            return None
        names = {str(name).strip().lower(): str(name) for name in table.columns}
        is_labelled = any(name in names for name in LABELS)
        twice = _summary(names) or _translation(names)
        if twice is not None and not is_labelled:
            return {"input": twice[0], "pair": twice[1]}
        chat = next((names[name] for name in CHATS if name in names and _holds_chats(table[names[name]])), None)
        if chat is not None:
            called = next((names[name] for name in TOOLS if name in names and _holds_tools(table[names[name]])), None)
            return {"input": chat} if called is None else {"input": chat, "pair": called}
        pair = next(((names[a], names[b]) for a, b in PAIRS if {a, b} <= names.keys()), None)
        if pair is None or (pair[0].lower() not in ASKED and is_labelled):
            return {}
        prompt, answer = pair
        context = next((names[name] for name in CONTEXTS if name in names), None) if prompt.lower() in ASKED else None
        return {"input": prompt if context is None else f"{prompt} + {context}", "pair": answer}

    def unusable(self, table: pd.DataFrame) -> Mapping[str, Sequence[bool]]:
        """Every chat can be read, and somebody answers in it."""
        said = [chats.said(cell) for cell in table["input"]]
        read = [messages(parts) for parts in said]
        return {
            UNREADABLE: [chats.is_chat(parts) and chat is None for parts, chat in zip(said, read, strict=True)],
            NO_ANSWER: [chat is not None and not any(map(chats.is_answer, chat)) for chat in read],
        }

    def related(self, table: pd.DataFrame) -> pd.DataFrame:
        """By the prompt, or by the first thing that was asked in a chat, whatever was answered."""
        return table.assign(input=table["input"].map(chats.asked_first), pair="")

    def features(self) -> dict[str, Any]:
        from datasets import Value

        return {name: Value("string") for name in ("prompt", "text", "form")}

    def arrow(self, part: pd.DataFrame) -> dict[str, list[Any]]:
        return _columns((first, second, "answer" if second else "text") for first, second in _cells(part))

    def from_python(self, values: Sequence[Any]) -> dict[str, list[Any]]:
        """A text, (prompt, answer), or messages."""
        return _columns(map(_checked, values))

    def load_processor(self, folder: str) -> Any:
        from studio.tasks import encoded_text, encoded_tokens

        return encoded_tokens.tried(encoded_text.load_processor(folder))

    def builtin(self, name: str, rows: Any, head: dict[str, Any], max_length: int) -> tuple[Any, Any]:
        from studio.tasks import encoded_tokens

        return encoded_tokens.builtin(name, rows, head, max_length)

    def encode(self, rows: Any, processor: Any, model_config: Any, max_length: int, labels: Tensor) -> Encoded:
        from studio.tasks import encoded_tokens

        return encoded_tokens.encode(rows, processor, model_config, max_length)

    def changed(self, rows: Any, plain: Any, model: Any, max_length: int, changes: Changes, seed: int) -> Encoded:
        found: Encoded = plain
        return found  # there are no changes of texts that are written on

    def plain(self, rows: Any) -> tuple[Any, Any]:
        raise ValueError("nothing linear writes text; untrained answers and the most frequent tokens are the floor.")

    def plain_features(self) -> Features:
        raise ValueError("nothing linear writes text.")

    def usage(self, form: str, auto_model: str, limit: int) -> list[str]:
        return [
            f"from transformers import {auto_model}, AutoTokenizer",
            "",
            f'model = {auto_model}.from_pretrained(".", use_safetensors=True)',
            'tokenizer = AutoTokenizer.from_pretrained(".")',
            *OPENINGS["text"],
            'inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")',
        ]


OPENINGS = {
    "text": ['text = (tokenizer.bos_token or tokenizer.eos_token or "") + "Once upon a time"'],
    "answer": [
        'prompt = "Tell me a story."  # an answer is written after a line',
        'text = (tokenizer.bos_token or tokenizer.eos_token or "") + prompt + "\\n"',
    ],
    "chat": [
        'prompt = "Tell me a story."',
        'text = (tokenizer.bos_token or tokenizer.eos_token or "") + f"User: {prompt}\\nAssistant: "',
    ],
    "template": [
        'messages = [{"role": "user", "content": "Tell me a story."}]',
        "text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)",
    ],
}
"""Lines of Python that open a text as rows of a form are written for a model, see `encoded_tokens.pieces`; `template`:
prompts and chats where the tokenizer has a chat template."""


def opened_as(opening: str, usage: Sequence[str]) -> list[str]:
    """The lines of `usage`, in which a text is opened so."""
    return [changed for line in usage for changed in (OPENINGS[opening] if [line] == OPENINGS["text"] else [line])]


def _holds_chats(cells: pd.Series) -> bool:
    return any(chats.is_chat(chats.said(cell)) for cell in cells.head(LOOKED_AT))


def _holds_tools(cells: pd.Series) -> bool:
    return any(chats.tools(cell) for cell in cells.head(LOOKED_AT))


def _summary(names: Mapping[str, str]) -> tuple[str, str] | None:
    return next(((names[a], names[b]) for a, b in SUMMARIES if {a, b} <= names.keys()), None)


def _translation(names: Mapping[str, str]) -> tuple[str, str] | None:
    found = [name for lower, name in names.items() if lower.startswith(TRANSLATION)]
    return (found[0], found[1]) if len(found) == 2 else None


def _cells(part: pd.DataFrame) -> Iterable[tuple[Any, Any]]:
    return zip(part["input"], part["pair"], strict=True)


def _columns(rows: Iterable[tuple[Any, Any, str]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {"prompt": [], "text": [], "form": []}
    for first, second, form in rows:
        chat = messages(first)
        if chat is not None:
            row = (chats.tools(second), json.dumps(chat, ensure_ascii=False), "chat")
        else:
            row = (_plain(first), _plain(second), form) if form == "answer" else ("", _plain(first), form)
        for name, value in zip(found, row, strict=True):
            found[name].append(value)
    return found


def _plain(cell: object) -> str:
    """A text that UTF-8 can hold."""
    return str(cell).encode("utf-8", "replace").decode("utf-8")


def _checked(value: Any) -> tuple[Any, Any, str]:
    """(first, second, form) of a text, (prompt, answer), messages, or a row of a saved data set."""
    if isinstance(value, str):
        return value, "", "text"
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        if len(value) == 2:
            return value[0], value[1], "answer"
        if len(value) == 3 and value[2] in FORMS:
            return (value[0], value[1], "answer") if value[2] == "answer" else (value[1], value[0], value[2])
    if messages(value) is not None:
        return value, "", "chat"
    raise DataError(f"An input must be a text, (prompt, answer) or messages, got {value!r:.80}.", "Write a text.")


def asked(row: Mapping[str, Any]) -> tuple[Any, str, str]:
    """Of a row of a saved data set what a model is given to go on, the same as a person reads it, and what stands
    there in the data.

    >>> asked({"prompt": "2+2=", "text": "4", "form": "answer"})
    (['2+2=', ''], '2+2=', '4')
    >>> asked({"prompt": "", "text": "One two three", "form": "text"})[1:]
    ('One', ' two three')
    """
    text = row["text"]
    if row["form"] == "answer":
        return [row["prompt"], ""], row["prompt"], text
    chat = messages(text) if row["form"] == "chat" else None
    if chat is not None:
        last = max(number for number, message in enumerate(chat) if message["role"] == "assistant")
        shown = "\n".join(f"{message['role']}: {chats.spoken(message)}" for message in chat[:last])
        return _with_tools(chat[:last], row), shown, chats.spoken(chat[last])
    half = text.find(" ", min(OPENING, len(text) // 4))
    half = len(text) if half < 0 else half
    return text[:half], text[:half], text[half:]


def asked_as(text: str, row: Mapping[str, Any]) -> Any:
    """What somebody writes, as the rows that are like this one ask it: of a chat after what its system was told.

    >>> asked_as("2+2=", {"prompt": "1+1=", "text": "2", "form": "answer"})
    ['2+2=', '']
    >>> asked_as("Hi", {"text": '[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "So"}]',
    ...                 "form": "chat"})
    [{'role': 'system', 'content': 'Be kind.'}, {'role': 'user', 'content': 'Hi'}]
    """
    form = row.get("form")
    if form == "answer":
        return [text, ""]
    chat = messages(row["text"]) if form == "chat" else None
    if chat is None:
        return text
    asked = [*(turn for turn in chat[:1] if turn["role"] == "system"), {"role": "user", "content": text}]
    return _with_tools(asked, row)


def _with_tools(chat: Sequence[Mapping[str, str]], row: Mapping[str, Any]) -> Any:
    """Messages as an input, with the tools of a row where it has such."""
    return [row["prompt"], json.dumps(chat, ensure_ascii=False), "chat"] if row.get("prompt") else chat


def shown(row: Mapping[str, Any]) -> list[str]:
    """A row of a saved data set as a person reads it: its text, prompt and answer, or who says what.

    >>> shown({"prompt": "2+2=", "text": "4", "form": "answer"}), shown({"prompt": "", "text": "One", "form": "text"})
    (['2+2=', '4'], ['One'])
    """
    chat = messages(row["text"]) if row["form"] == "chat" else None
    if chat is not None:
        return [f"{message['role']}: {chats.spoken(message)}" for message in chat]
    return [part for part in (row["prompt"], row["text"]) if part]


TASK = Task(
    name="language-model",
    title="Language model",
    when="Writes text on, answers prompts, or chats.",
    auto_model_name="AutoModelForCausalLM",
    pipeline_tag="text-generation",
    inputs=TextToWrite(),
    targets=NextTokens(),
    usual={"temperature": 1.0, "batch_size": 8},
)
