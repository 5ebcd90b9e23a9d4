"""Text classification: one label, or several, for a whole text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.errors import DataError
from studio.tasks.classes import Classes, MultiLabel
from studio.tasks.task import ONNX_FILES, Column, Features, Modality, Task

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from studio.tasks.augment import Changes
    from studio.tasks.encoded import Encoded

BUILTINS = (
    "transformer-base",
    "transformer-small",
    "transformer-mini",
    "transformer-tiny",
    "fasttext-large",
    "fasttext-small",
    "fasttext-tiny",
)
CHANGES: Mapping[str, str] = {
    "word_dropout": "Leave out some words",
    "word_replacement": "Words that the teacher takes for similar",
    "masked_word": "Words that a masked language model fills in",
    "cutmix": "Join the beginning of one text with the end of another",
}
NAMES = ("text", "sentence", "message", "review", "content", "question", "utterance", "body", "text_a", "title")
PAIR_NAMES = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("query", "passage"),
    ("query", "document"),
    ("question", "sentence"),
    ("question", "answer"),
)
"""What the two columns of a pair are called in public data sets, in lower case."""

PARTS = (
    ("title", "body"), ("title", "text"), ("title", "content"), ("title", "description"), ("title", "abstract"),
    ("title", "review"), ("title", "selftext"), ("review_title", "review_body"), ("subject", "body"),
    ("subject", "description"), ("subject", "message"), ("subject", "content"), ("headline", "body"),
    ("headline", "short_description"), ("headline", "description"), ("summary", "description"), ("summary", "text"),
    ("name", "description"), ("title", "plot"), ("title", "overview"), ("titles", "summaries"), ("title", "summary"),
    ("summary", "reviewtext"), ("summary", "review"), ("review_title", "review_text"),
)  # fmt: skip
"""What the parts of one text are called, such as those of a letter, in lower case."""

TEXT = Column("input", "Text", "What the models read.")
PAIR = Column("pair", "Second text", "The text that is read together with the first one.")
_SAMPLE, _LETTERS = 2_000, 2_000
_WORDS = re.compile(r"[\W_]+")
_SEVERAL_WORDS = re.compile(r"\S\s+\S+\s+\S")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{6}")


class TextInputs:
    """A text, or two that are read together. `pairs`: never, if there is a second column, or always."""

    modality: Modality = "text"
    units = ("heads", "neurons", "layers")
    quantized_form = "int8"
    changes = CHANGES

    def __init__(self, pairs: str = "never", builtins: tuple[str, ...] = BUILTINS) -> None:
        self.pairs, self.builtins = pairs, builtins
        second = Column(PAIR.role, PAIR.title, PAIR.help, required=pairs == "always")
        self.columns: tuple[Column, ...] = (TEXT,) if pairs == "never" else (TEXT, second)

    def guess(self, kind: str, table: pd.DataFrame) -> dict[str, str] | None:
        if kind != "table":
            return None
        names = {str(name).strip().lower(): str(name) for name in table.columns}
        pair = next(({"input": names[a], "pair": names[b]} for a, b in PAIR_NAMES if {a, b} <= names.keys()), None)
        parts = next((f"{names[a]} + {names[b]}" for a, b in PARTS if _say(table, names, a, b)), None)
        if self.pairs == "never":
            named = parts or next((names[name] for name in NAMES[:-1] if name in names), None) or _ends_as_text(table)
            named = named or names.get(NAMES[-1])
            return {} if named is None else {"input": named}
        if pair is None and parts is None:
            texts = _texts(table)
            pair = {"input": texts[0], "pair": texts[1]} if len(texts) == 2 else None
        return pair if pair is not None or self.pairs == "always" else {}

    def unusable(self, table: pd.DataFrame) -> Mapping[str, Sequence[bool]]:
        return {}

    def related(self, table: pd.DataFrame) -> pd.DataFrame:
        return table

    def features(self) -> dict[str, Any]:
        from datasets import Value

        return {"text": Value("string")} | ({} if self.pairs == "never" else {"text_pair": Value("string")})

    def arrow(self, part: pd.DataFrame) -> dict[str, list[Any]]:
        columns = {"text": "input"} | ({} if self.pairs == "never" else {"text_pair": "pair"})
        return {name: [_plain(cell) for cell in part[column]] for name, column in columns.items()}

    def from_python(self, values: Sequence[Any]) -> dict[str, list[Any]]:
        if self.pairs == "never":
            return {"text": [_checked(value) for value in values]}
        pairs = [(value, "") if isinstance(value, str) and self.pairs == "optional" else value for value in values]
        wrong = next((pair for pair in pairs if not isinstance(pair, list | tuple) or len(pair) != 2), None)
        if wrong is not None:
            raise DataError(f"An input must be a pair of texts, got {wrong!r:.80}.", "Write (first text, second text).")
        return {name: [_checked(pair[place]) for pair in pairs] for place, name in enumerate(("text", "text_pair"))}

    def load_processor(self, folder: str) -> Any:
        from studio.tasks import encoded_text

        return encoded_text.load_processor(folder)

    def builtin(self, name: str, rows: Any, head: dict[str, Any], max_length: int) -> tuple[Any, Any]:
        from studio.tasks import encoded_text

        return encoded_text.builtin(name, rows, head, max_length)

    def encode(self, rows: Any, processor: Any, model_config: Any, max_length: int, labels: Tensor) -> Encoded:
        from studio.tasks import encoded_text

        return encoded_text.encode(rows, processor, model_config, max_length, labels)

    def changed(self, rows: Any, plain: Any, model: Any, max_length: int, changes: Changes, seed: int) -> Encoded:
        from studio.tasks import encoded_text

        return encoded_text.changed(rows, plain, model, max_length, changes, seed)

    def plain(self, rows: Any) -> tuple[Any, Any]:
        columns = [rows[name][:] for name in ("text", "text_pair") if name in rows.column_names]
        if not any(columns[-1]):  # a second text that nobody has
            columns = columns[:1]
        return list(zip(*columns, strict=True)), range(len(rows) + 1)

    def plain_features(self) -> Features:
        from studio.tasks import baseline

        return baseline.TextFeatures()

    def usage(self, form: str, auto_model: str, limit: int) -> list[str]:
        cut = f"truncation=True, max_length={limit}"
        texts = '"Write a text here."' if self.pairs == "never" else '"Write a text here.", "And the second one here."'
        if form in ONNX_FILES:
            file, folder = ONNX_FILES[form]
            return [
                "import json",
                "import onnxruntime",
                "from transformers import AutoTokenizer",
                "",
                f'config = json.load(open("{folder}/config.json"))',
                f'session = onnxruntime.InferenceSession("{file}")',
                f'inputs = AutoTokenizer.from_pretrained("{folder}")({texts}, {cut}, return_tensors="np")',
                "named = {field.name: inputs[field.name] for field in session.get_inputs()}",
                'logits = session.run(["logits"], named)[0]',
            ]
        types = "" if self.pairs == "never" else ', "token_type_ids"'
        return [
            f"from transformers import {auto_model}, AutoTokenizer",
            "",
            f'model = {auto_model}.from_pretrained(".", use_safetensors=True)',
            'tokenizer = AutoTokenizer.from_pretrained(".")',
            f'inputs = tokenizer({texts}, {cut}, return_tensors="pt")',
            f'known = ("input_ids", "attention_mask"{types})',
            "logits = model(**{name: inputs[name] for name in known if name in inputs}).logits",
        ]


def _say(table: pd.DataFrame, names: Mapping[str, str], *columns: str) -> bool:
    """Whether there are such columns, and none of them says the same in every row."""
    sample = table.head(_SAMPLE)
    return all(name in names and sample[names[name]].nunique() > 1 for name in columns)


def _ends_as_text(table: pd.DataFrame) -> str | None:
    """The column of prose whose name ends as one of texts does, such as `review_text`."""
    ends = {_WORDS.split(name.strip().lower())[-1]: name for name in reversed(_texts(table))}
    return next((ends[name] for name in NAMES[:-1] if name in ends), None)


def _texts(table: pd.DataFrame) -> list[str]:
    """The columns that hold prose: more words a cell than a person's name has, or as many letters of scripts without
    blanks; hardly one twice."""
    sample = table.head(_SAMPLE)
    found = []
    for name in table.columns:
        cells = sample[name].astype(str).str[:_LETTERS]
        words = cells.str.contains(" ", regex=False)
        words[words] = cells[words].str.contains(_SEVERAL_WORDS)
        words &= cells.str.contains(r"[^\W\d_]")  # dates and times are no prose
        words |= cells.str.contains(_UNSPACED)
        if words.mean() > 0.5 and cells.nunique() > len(cells) / 4:
            found.append(str(name))
    return found


def _plain(cell: object) -> str:
    """A text that UTF-8 can hold."""
    return str(cell).encode("utf-8", "replace").decode("utf-8")


def _checked(value: object) -> str:
    if not isinstance(value, str):
        raise DataError(f"An input must be a text, got {value!r:.80}.", "Give a list of texts.")
    return _plain(value)


TASK = Task(
    name="text-classification",
    title="Text classification",
    when="One label for each text, such as a topic or a sentiment; or several.",
    auto_model_name="AutoModelForSequenceClassification",
    pipeline_tag="text-classification",
    inputs=TextInputs(),
    targets=Classes(),
    multi_label_targets=MultiLabel(),
)
