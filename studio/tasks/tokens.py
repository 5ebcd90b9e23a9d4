"""Token classification: a tag for each word, such as the names of people and places.

As in Tjong Kim Sang & De Meulder (2003), entities count whole: their words and their type must be right.
A position is a word. It is answered where its first piece is; a word that a model did not see because the row was cut
has weight 0. Tags are kept as IOB2, whichever scheme a file uses.
"""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studio.config.run import UNLABELLED
from studio.errors import DataError
from studio.tasks.classes import require_names
from studio.tasks.entities import OUTSIDE, TAG, entities, iob2
from studio.tasks.measures import Measure, Reference
from studio.tasks.task import ONNX_FILES, Column, Features, Kind, Labels, Modality, Task
from studio.tasks.text import TextInputs

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from studio.tasks.augment import Changes
    from studio.tasks.encoded import Encoded
    from studio.tasks.positions import PositionLogits

WORDS = ("words", "tokens")
TAGS = ("tags", "ner_tags", "labels", "label")
_ALONE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of scripts that put nothing between words: each is a word by itself."""

UNEQUAL = "not as many tags as words"

F1 = Measure("f1", "Entity F1", "Of entities, whole and of the right type: the balance of found and right.")
PRECISION = Measure("precision", "Precision", "The share of the entities found that are right.")
RECALL = Measure("recall", "Recall", "The share of the entities in the text that are found.")


class WordInputs:
    """A text that is cut into words already."""

    modality: Modality = "text"
    columns = (Column("input", "Words", "The words of a text, one after the other."),)
    builtins = ("transformer-base", "transformer-small", "transformer-mini", "transformer-tiny")
    units = TextInputs.units
    quantized_form = "int8"
    changes: Mapping[str, str] = {}

    def guess(self, kind: str, table: pd.DataFrame) -> dict[str, str] | None:
        names = {str(name).strip().lower(): str(name) for name in table.columns}
        words = next((names[name] for name in WORDS if name in names), None)
        tags = next((names[name] for name in TAGS if name in names), None)
        if kind not in ("words", "table") or words is None or tags is None:
            return None
        return {"input": words, "label": tags}

    def unusable(self, table: pd.DataFrame) -> Mapping[str, Sequence[bool]]:
        """Every word has a tag, or none has one."""
        rows = zip(table["input"], table["label"], strict=True)
        return {UNEQUAL: [len(tags.split()) not in (0, len(words_of(words))) for words, tags in rows]}

    def related(self, table: pd.DataFrame) -> pd.DataFrame:
        return table

    def features(self) -> dict[str, Any]:
        from datasets import Sequence as ArrowSequence
        from datasets import Value

        return {"words": ArrowSequence(Value("string"))}

    def arrow(self, part: pd.DataFrame) -> dict[str, list[Any]]:
        return {"words": [words_of(cell) for cell in part["input"]]}

    def from_python(self, values: Sequence[Any]) -> dict[str, list[Any]]:
        rows = [written_words(value) if isinstance(value, str) else value for value in values]
        wrong = next((row for row in rows if not isinstance(row, list | tuple) or not all(map(_is_word, row))), None)
        if wrong is not None:
            raise DataError(f"An input must be a list of words, got {wrong!r:.80}.", 'Write ["New", "York"].')
        return {"words": [list(row) for row in rows]}

    def load_processor(self, folder: str) -> Any:
        from studio.tasks import encoded_text

        return encoded_text.load_processor(folder)

    def builtin(self, name: str, rows: Any, head: dict[str, Any], max_length: int) -> tuple[Any, Any]:
        from datasets import Dataset

        from studio.tasks import encoded_text

        texts = Dataset.from_dict({"text": [" ".join(words) for words in rows["words"]]})
        return encoded_text.builtin(name, texts, head, max_length)

    def encode(self, rows: Any, processor: Any, model_config: Any, max_length: int, labels: Tensor) -> Encoded:
        from studio.tasks import encoded_words

        return encoded_words.encode(rows, processor, model_config, max_length, labels)

    def changed(self, rows: Any, plain: Any, model: Any, max_length: int, changes: Changes, seed: int) -> Encoded:
        return plain  # there are no changes yet that keep the words in their places

    def plain(self, rows: Any) -> tuple[Any, Any]:
        import numpy as np

        from studio.tasks import baseline

        texts = rows["words"][:]
        words = [baseline.of_word(text, place) for text in texts for place in range(len(text))]
        return words, np.cumsum([0, *map(len, texts)])

    def plain_features(self) -> Features:
        from studio.tasks import baseline

        return baseline.WordFeatures()

    def usage(self, form: str, auto_model: str, limit: int) -> list[str]:
        cut = f"truncation=True, max_length={limit}"
        words = 'words = "Write a text here , word by word .".split()'
        if form in ONNX_FILES:
            file, folder = ONNX_FILES[form]
            return [
                "import json",
                "import onnxruntime",
                "from transformers import AutoTokenizer",
                "",
                words,
                f'config = json.load(open("{folder}/config.json"))',
                f'session = onnxruntime.InferenceSession("{file}")',
                f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
                f'inputs = tokenizer(words, is_split_into_words=True, {cut}, return_tensors="np")',
                "named = {field.name: inputs[field.name] for field in session.get_inputs()}",
                'logits = session.run(["logits"], named)[0]',
            ]
        return [
            f"from transformers import {auto_model}, AutoTokenizer",
            "",
            words,
            f'model = {auto_model}.from_pretrained(".", use_safetensors=True)',
            'tokenizer = AutoTokenizer.from_pretrained(".")',
            f'inputs = tokenizer(words, is_split_into_words=True, {cut}, return_tensors="pt")',
            'logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits',
        ]


def words_of(cell: object) -> list[str]:
    """A cell's words: a JSON list, or a text with spaces between them."""
    text = str(cell).strip()
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return text.split()
        if isinstance(found, list) and all(isinstance(word, str | int) for word in found):
            return [str(word) for word in found]
    return text.split()


def written_words(text: str) -> list[str]:
    """The words of a text that somebody wrote: what stands between spaces, where the script has them.

    >>> written_words("New York, 北京")
    ['New', 'York,', '北', '京']
    """
    return _ALONE.sub(r" \g<0> ", text).split()


def words_in(text: str) -> list[str]:
    """The words of a text, each sign that is no letter by itself.

    >>> words_in("Rome, don't wait!"), words_in("北京 ok")
    (['Rome', ',', 'don', "'", 't', 'wait', '!'], ['北', '京', 'ok'])
    """
    spaced = "".join(f" {sign} " if _is_alone(sign) else sign for sign in text)
    return spaced.split()


def _is_alone(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "PS" or _ALONE.match(sign) is not None


def _is_word(value: object) -> bool:
    return isinstance(value, str)


class Tags:
    """Each word has a tag."""

    kind: Kind = "class"
    terms = ("soft_target",)
    measures = (F1, PRECISION, RECALL)
    column = Column("label", "Tags", "A tag for each word, as in B-PER, I-PER, O. IOB1, IOB2 and BIOES are understood.")
    problem_type = "single_label_classification"

    def fits(self, cells: Sequence[str]) -> bool:
        tags = [tag for cell in cells for tag in words_of(cell)]
        return bool(tags) and all(TAG.fullmatch(tag) for tag in tags) and any(tag != OUTSIDE for tag in tags)

    def read(self, cell: object) -> str:
        tags = words_of(cell)
        return " ".join(iob2(tags)) if all(TAG.fullmatch(tag) for tag in tags) else " ".join(tags)

    def names(self, cells: Sequence[str], column: str | None) -> Labels:
        """O, then B- and I- of each type."""
        tags = {tag for cell in cells for tag in cell.split()}
        wrong = next((tag for tag in sorted(tags) if not TAG.fullmatch(tag)), None)
        if wrong is not None:
            raise DataError(
                f"Column {column!r} must hold tags such as B-PER, I-PER and O, got {wrong!r:.200}.",
                "Choose the column with the tags, or write them in IOB2.",
            )
        types = sorted({tag[2:] for tag in tags - {OUTSIDE}})
        if not types:
            raise DataError(f"Column {column!r} holds no entity: every tag is O.", "Choose another column.")
        labels = [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]
        require_names(labels, column)
        return labels

    def counts(self, cells: Sequence[str], labels: Labels) -> dict[str, int]:
        """How many entities of each type there are."""
        found = Counter(kind for cell in cells for kind, _, _ in entities(cell.split()))
        return {label[2:]: found[label[2:]] for label in labels if label.startswith("B-")}

    def strata(self, cells: Sequence[str]) -> list[str]:
        """Whether a row has an entity."""
        return ["" if not cell else str(any(tag != OUTSIDE for tag in cell.split())) for cell in cells]

    def feature(self) -> Any:
        from datasets import Sequence as ArrowSequence
        from datasets import Value

        return ArrowSequence(Value("int64"))

    def numbers(self, cells: Sequence[str], labels: Labels) -> list[Any]:
        known = {label: number for number, label in enumerate(labels)}
        return [[known[tag] for tag in cell.split()] for cell in cells]

    def is_label(self, value: Any) -> bool:
        return bool(value)

    def tensor(self, values: Sequence[Any], classes: int) -> Tensor:
        """The tags of all rows that have some, one after the other."""
        import torch

        return torch.tensor([number for row in values for number in row], dtype=torch.long)

    def head(self, labels: Labels) -> dict[str, Any]:
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
        }

    def start_head(self, head: Any, values: Sequence[Any]) -> None:
        """Random weights are a good start."""

    def label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy, mean over the words that have a tag."""
        from studio.tasks import labels as functions

        return functions.label_loss(logits, labels)

    def known(self, labels: Tensor) -> Tensor:
        return labels != UNLABELLED

    def choices(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1)

    def agree(self, first: Tensor, second: Tensor) -> Tensor:
        return self.choices(first) == self.choices(second)

    def certainty(self, logits: Tensor) -> Tensor:
        from studio.tasks import labels as functions

        return functions.certainty(logits)

    def scores(self, logits: PositionLogits, encoded: Encoded) -> Tensor:
        """Entities that are right, less half of those that are missed or made up."""
        import torch

        right, found, there = self.statistics(logits, encoded).T
        return torch.from_numpy(2.0 * right - (found + there) / 2)

    def statistics(self, logits: PositionLogits, encoded: Any) -> np.ndarray:
        """(labelled rows, 3): entities that are right, that were found, that are there. Added up over rows."""
        import numpy as np

        offsets, labels = encoded.offsets.tolist(), encoded.labels.cpu().tolist()
        answers, tags = _tags(logits, encoded.tags), encoded.tags
        rows = []
        for start, end in itertools.pairwise(offsets):
            if start == end or labels[start] == UNLABELLED:
                continue
            true = set(entities([tags[number] for number in labels[start:end]]))
            found = set(entities(answers[start:end]))
            rows.append((len(true & found), len(found), len(true)))
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    def measure(self, statistics: np.ndarray) -> dict[str, float]:
        right, found, there = (int(total) for total in statistics.sum(0))
        return {
            "f1": 2 * right / (found + there) if found + there else 0.0,
            "precision": right / found if found else 0.0,
            "recall": right / there if there else 0.0,
        }

    def right(self, statistics: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"{self.measures[0].name} is not the share of rows that are right")

    def solved(self, statistics: np.ndarray) -> np.ndarray:
        """All entities of the row, and none too many."""
        right, found, there = statistics.T
        whole: np.ndarray = (right == found) & (right == there)
        return whole

    def losses(self, logits: PositionLogits, encoded: Any) -> Tensor:
        """Cross-entropy of the words that have a tag and were seen, in nats, mean over those of the row."""
        from studio.tasks import labels as functions
        from studio.tasks.positions import mean_of_rows

        seen = ~logits.values.isnan().any(-1)
        found = functions.losses(logits.values.nan_to_num(), encoded.labels.cpu())
        return mean_of_rows(found.masked_fill(~seen, float("nan")), logits.offsets)

    def confidence(self, logits: PositionLogits) -> Tensor:
        """All tags of the row as they are told, each for itself; words that were not seen are left out."""
        from studio.tasks.positions import sum_of_rows

        sure = logits.values.log_softmax(-1).amax(-1)
        return sum_of_rows(sure.nan_to_num(0.0), logits.offsets).exp()

    def as_labels(self, logits: PositionLogits) -> Any:
        """The tags of a row; O for words that the model did not see."""
        import pyarrow

        unseen = logits.values.isnan().any(-1)
        tags = logits.values.nan_to_num().argmax(-1).masked_fill(unseen, 0)  # O is the first of all tags
        offsets = pyarrow.array(logits.offsets.numpy().astype("int32"))
        return pyarrow.ListArray.from_arrays(offsets, tags.numpy().astype("int32"))

    def reference(self, statistics: np.ndarray, classes: int) -> Reference:
        """O for every word finds nothing; whole entities are hardly ever met by chance."""
        nothing = dict.fromkeys((measure.name for measure in self.measures), 0.0)
        return Reference(nothing, nothing)

    def rarest(self, statistics: np.ndarray, classes: int) -> tuple[int, int] | None:
        return None

    def confusion(self, statistics: np.ndarray, classes: int) -> np.ndarray | None:
        return None

    def linear_model(self, steps: int, seed: int) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=3.0, max_iter=steps, random_state=seed)

    def linear_labels(self, rows: Any, classes: int) -> Any:
        return [tag for row in rows["label"][:] for tag in row]

    def linear_logits(self, model: Any, matrix: Any, classes: int) -> np.ndarray:
        from studio.tasks import baseline

        return baseline.class_logits(model, matrix, classes)

    def answers(self, logits: PositionLogits, labels: Labels) -> list[dict[str, Any]]:
        tags, offsets = _tags(logits, labels), logits.offsets.tolist()
        rows = [tags[start:end] for start, end in itertools.pairwise(offsets)]
        return [
            {
                "tags": iob2(row),
                "entities": [{"type": kind, "start": start, "end": end} for kind, start, end in entities(row)],
            }
            for row in rows
        ]

    def shares(self, logits: PositionLogits, labels: Labels) -> list[dict[str, float]]:
        return [{} for _ in range(len(logits.offsets) - 1)]

    def usage(self, form: str) -> list[str]:
        named = 'config["id2label"][str(number)]' if form in ONNX_FILES else "model.config.id2label[int(number)]"
        return [
            f"tags = [{named} for number in logits[0].argmax(-1)]",
            "first = inputs.word_ids()",
            "print([(word, tags[first.index(place)]) for place, word in enumerate(words) if place in first])",
        ]


def _tags(logits: PositionLogits, names: Sequence[str]) -> list[str]:
    """The tag of each word; O where the model did not see it."""
    seen = ~logits.values.isnan().any(-1)
    numbers = logits.values.nan_to_num().argmax(-1)
    return [
        names[number] if is_seen else OUTSIDE for number, is_seen in zip(numbers.tolist(), seen.tolist(), strict=True)
    ]


TASK = Task(
    name="token-classification",
    title="Token classification",
    when="A tag for each word, such as the names of people and places in a text.",
    auto_model_name="AutoModelForTokenClassification",
    pipeline_tag="token-classification",
    inputs=WordInputs(),
    targets=Tags(),
)
