"""What a language model says: at each position the next token, and how good that is.

A position is a token of the text, or of the answers; what a prompt says does not count. Every row is its own label, so
none is without one. Bits per byte compare models whatever pieces they cut a text into (Gao et al., 2020, The Pile).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio.tasks.measures import Measure, Reference
from studio.tasks.task import Kind, Labels

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from studio.tasks.encoded import Encoded
    from studio.tasks.positions import PositionLogits

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
