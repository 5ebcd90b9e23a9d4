"""Language models: text is written on, token by token; or a prompt is answered, or a chat.

A position is a token of the text, or of the answers; what a prompt says does not count. Every row is its own label, so
none is without one. Bits per byte compare models whatever pieces they cut a text into (Gao et al., 2020, The Pile).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.errors import DataError
from studio.tasks import chats
from studio.tasks.chats import messages
from studio.tasks.measures import Measure, Reference
from studio.tasks.task import Column, Features, Kind, Labels, Modality, Task

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from studio.tasks.augment import Changes
    from studio.tasks.encoded import Encoded
    from studio.tasks.positions import PositionLogits

CHATS = ("messages", "conversations", "conversation", "dialog", "dialogue", "chosen")
"""What chats are called in public data sets; the last one is the better of two."""

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
ITSELF = "text"
"""What stands in the column of labels: a text is its own."""

BITS = Measure(
    "bits_per_byte",
    "Bits per byte",
    "How many bits the model needs for a byte of text that it has not seen: lower is better. It compares models "
    "whatever pieces they cut a text into.",
    unit="number",
    sentence="needs {} bits for a byte of text",
    lower=True,
)
PERPLEXITY = Measure(
    "perplexity",
    "Perplexity per token",
    "Among how many tokens, all as likely, the model as good as chooses at each step: lower is better. It compares "
    "models with the same tokenizer alone.",
    unit="number",
    lower=True,
)
FIRST = Measure(
    "first_choice", "Next token right", "How often the token that the model takes for the likeliest is the one there."
)
AGREEMENT = Measure(
    "agreement", "Same first choice as the teacher", "How often the model takes the same token for the likeliest."
)


class TextToWrite:
    """A text; or a prompt, or messages, and what is answered."""

    modality: Modality = "text"
    columns = (
        Column("input", "Text or prompt", "The text to write on. With an answer: what is asked. Messages of a chat."),
        Column("pair", "Answer", "What is to be written; none for plain text and chats.", required=False),
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
            return {"input": chat}
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
            row = ("", json.dumps(chat, ensure_ascii=False), "chat")
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
            return (value[0], value[1], "answer") if value[2] == "answer" else (value[1], "", value[2])
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
        shown = "\n".join(f"{message['role']}: {message['content']}" for message in chat[:last])
        return chat[:last], shown, chat[last]["content"]
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
    return [*(turn for turn in chat[:1] if turn["role"] == "system"), {"role": "user", "content": text}]


def shown(row: Mapping[str, Any]) -> list[str]:
    """A row of a saved data set as a person reads it: its text, prompt and answer, or who says what.

    >>> shown({"prompt": "2+2=", "text": "4", "form": "answer"}), shown({"prompt": "", "text": "One", "form": "text"})
    (['2+2=', '4'], ['One'])
    """
    chat = messages(row["text"]) if row["form"] == "chat" else None
    if chat is not None:
        return [f"{message['role']}: {message['content']}" for message in chat]
    return [part for part in (row["prompt"], row["text"]) if part]


class NextTokens:
    """At each position the next token. Statistics are sums over a row's tokens, so that rows are drawn anew whole."""

    kind: Kind = "token"
    terms = ("soft_target",)
    measures = (BITS, PERPLEXITY, FIRST, AGREEMENT)
    column = None
    problem_type = ""

    def fits(self, cells: Sequence[str]) -> bool:
        return False

    def read(self, cell: object) -> str:
        """Whatever it says, a row is its own label."""
        return ITSELF

    def names(self, cells: Sequence[str], column: str | None) -> Labels:
        return []

    def counts(self, cells: Sequence[str], labels: Labels) -> dict[str, int]:
        return {}

    def strata(self, cells: Sequence[str]) -> list[str]:
        return list(cells)

    def feature(self) -> Any:
        from datasets import Value

        return Value("int64")

    def numbers(self, cells: Sequence[str], labels: Labels) -> list[Any]:
        return [0] * len(cells)

    def is_label(self, value: Any) -> bool:
        return True

    def tensor(self, values: Sequence[Any], classes: int) -> Tensor:
        """The tokens are the labels; which they are a tokenizer says."""
        import torch

        return torch.zeros(len(values), dtype=torch.long)

    def head(self, labels: Labels) -> dict[str, Any]:
        return {}

    def start_head(self, head: Any, values: Sequence[Any]) -> None:
        """It is the table of the tokens: random weights are a good start."""

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the next token, in nats, mean over the positions."""
        from studio.tasks import labels as functions

        return functions.label_loss(logits, labels)

    def known(self, labels: Tensor) -> Tensor:
        return labels >= 0

    def choices(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1)

    def agree(self, first: Tensor, second: Tensor) -> Tensor:
        return self.choices(first) == self.choices(second)

    def certainty(self, logits: Tensor) -> Tensor:
        from studio.tasks import labels as functions

        return functions.certainty(logits)

    def scores(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """The log-likelihood of each row, in nats."""
        import torch

        return -torch.from_numpy(self.statistics(logits, encoded)[:, 0])

    def statistics(self, logits: PositionLogits, encoded: Any, teacher: PositionLogits | None = None) -> np.ndarray:
        """(rows, 7): nats, tokens, bytes, first choices that are right, that are the teacher's, tokens that were
        compared with the teacher, nats of the tokens by how often each comes in these rows."""
        import numpy as np
        import torch

        outputs, labels = logits.values.double().cpu(), encoded.labels.cpu()
        counts = (encoded.offsets[1:] - encoded.offsets[:-1]).cpu()
        row = torch.repeat_interleave(encoded.row.cpu(), counts)
        rows, here = len(encoded.size), torch.ones(len(labels), dtype=torch.double)
        same = compared = torch.zeros_like(here)
        if teacher is not None:
            same, compared = (outputs[:, 1] == teacher.values[:, 1].double().cpu()).double(), here
        each = (-outputs[:, 0], here, (outputs[:, 1] == labels).double(), same, compared, _by_frequency(labels))
        sums = [torch.bincount(row, values, minlength=rows).numpy() for values in each]
        return np.stack([*sums[:2], encoded.size.cpu().double().numpy(), *sums[2:]], axis=1)

    def measure(self, statistics: np.ndarray) -> dict[str, float]:
        nats, tokens, size, right, agreed, compared, _ = (float(total) for total in statistics.sum(0))
        found = {
            "bits_per_byte": -nats / math.log(2) / max(size, 1.0),
            "perplexity": -math.exp(min(nats / max(tokens, 1.0), 700.0)),
            "first_choice": right / max(tokens, 1.0),
        }
        has_other = compared or not tokens  # with a teacher of other tokens there is nothing to agree on
        return found | ({"agreement": agreed / max(compared, 1.0)} if has_other else {})

    def right(self, statistics: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{self.measures[0].name} is not the share of rows that are right")

    def solved(self, statistics: np.ndarray) -> np.ndarray:
        """At most of its tokens the likeliest one is right."""
        most: np.ndarray = 2 * statistics[:, 3] > statistics[:, 1]
        return most

    def losses(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """Cross-entropy, in nats, mean over the tokens of a row."""
        from studio.tasks.positions import mean_of_rows

        return mean_of_rows(-logits.values[:, 0], logits.offsets)

    def confidence(self, logits: PositionLogits) -> Tensor:
        """A text has no answer that could be right."""
        import torch

        return torch.full((len(logits.offsets) - 1,), math.nan)

    def as_labels(self, logits: PositionLogits) -> Any:
        import pyarrow

        return pyarrow.array([0] * (len(logits.offsets) - 1), pyarrow.int64())

    def reference(self, statistics: np.ndarray, classes: int) -> Reference:
        """Each token as often as it comes, wherever it stands: what is known without reading what stands before."""
        by_frequency = statistics.copy()
        by_frequency[:, 0], by_frequency[:, 3:6] = statistics[:, 6], 0.0
        found = self.measure(by_frequency)
        return Reference(found, found, words="each token as often as it comes, whatever stands before it")

    def rarest(self, statistics: np.ndarray, classes: int) -> tuple[int, int] | None:
        return None

    def confusion(self, statistics: np.ndarray, classes: int) -> np.ndarray | None:
        return None

    def linear_model(self, steps: int, seed: int) -> Any:
        raise ValueError("nothing linear writes text.")

    def linear_labels(self, rows: Any, classes: int) -> Any:
        raise ValueError("nothing linear writes text.")

    def linear_logits(self, model: Any, matrix: Any, classes: int) -> np.ndarray:
        raise ValueError("nothing linear writes text.")

    def answers(self, logits: PositionLogits, labels: Labels) -> list[dict[str, Any]]:
        """Of each block how many bits its tokens take, and how many there are."""
        offsets = logits.offsets.tolist()
        parts = [logits.values[begin:stop, 0] for begin, stop in itertools.pairwise(offsets)]
        return [{"bits": -float(part.sum()) / math.log(2), "tokens": len(part)} for part in parts]

    def shares(self, logits: PositionLogits, labels: Labels) -> list[dict[str, float]]:
        return [{} for _ in range(len(logits.offsets) - 1)]

    def usage(self, form: str) -> list[str]:
        return [
            "tokens = model.generate(**inputs, max_new_tokens=100, do_sample=True)",
            "print(tokenizer.decode(tokens[0], skip_special_tokens=True))",
        ]


def _by_frequency(labels: Tensor) -> Tensor:
    """(p,): -log of the share that each token has of all."""
    import torch

    counts = torch.bincount(labels).double()
    return (len(labels) / counts[labels].clamp(min=1)).log()


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
