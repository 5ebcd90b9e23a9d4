"""What counts as good: a measure with its words, and what a model gets in it that has learned nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Measure:
    """A number that says how good a model is; higher is better. `unit`: a share of 1, shown in per cent, or a plain
    number.

    `interval`: where its 95 % interval comes from. `share`: it is the share of rows that are right (Wilson).
    `confusion`: from the confusion matrix (bootstrap). `rows`: from rows drawn anew (bootstrap). `sentence`: what is
    said of a model that has so much of it. `lower`: people know it as a number that is better the lower it is, such as
    a perplexity; its values are kept with a minus before them, and written without.
    """

    name: str
    title: str
    help: str
    unit: Literal["share", "number"] = "share"
    interval: Literal["share", "confusion", "rows"] = "rows"
    sentence: str = ""
    lower: bool = False

    def written(self, value: float) -> str:
        """The value as a person reads it.

        >>> Measure("accuracy", "Accuracy", "").written(0.5368)
        '53.7 %'
        >>> Measure("perplexity", "Perplexity", "", unit="number", lower=True).written(-12.5)
        '12.500'
        """
        return f"{100 * value:.1f} %" if self.unit == "share" else f"{self.shown(value):.3f}"

    def shown(self, value: float) -> float:
        """The value, or a difference of two, as people know it."""
        return 0.0 - value if self.lower else value  # nothing has no sign

    def as_known(self, value: float, low: float, high: float) -> tuple[float, float, float]:
        """A value, or a difference of two, and the ends of its interval as people know them, the smaller end first.

        >>> Measure("perplexity", "Perplexity", "", lower=True).as_known(-2.5, -3.0, -2.0)
        (2.5, 2.0, 3.0)
        """
        ends = (self.shown(high), self.shown(low)) if self.lower else (low, high)
        return (self.shown(value), *ends)

    def said(self, value: float) -> str:
        """What a sentence says of a model with this value.

        >>> Measure("f1", "Entity F1", "").said(0.5)
        'has an entity F1 of 50.0 %'
        """
        title = self.title[0].lower() + self.title[1:]
        usual = f"has {'an' if title[0] in 'aeiou' else 'a'} {title} of {{}}"
        return (self.sentence or usual).format(self.written(value))

    def difference(self, size: float) -> str:
        """A difference without its sign: points of a share, or a plain number."""
        return f"{100 * size:.1f} points" if self.unit == "share" else f"{size:.3f}"

    def bounds(self, low: float, high: float) -> tuple[str, str]:
        """The ends of the interval of a difference, as people know them: the smaller number first.

        >>> Measure("accuracy", "Accuracy", "").bounds(-0.012, 0.03)
        ('−1.2', '+3.0')
        >>> Measure("perplexity", "Perplexity", "", unit="number", lower=True).bounds(0.1, 0.2)
        ('−0.200', '−0.100')
        """
        first, second = sorted((self.shown(low), self.shown(high)))
        return self._signed(first), self._signed(second)

    def _signed(self, value: float) -> str:
        text = f"{100 * value:+.1f}" if self.unit == "share" else f"{value:+.3f}"
        return text.replace("-", "−")


@dataclass(frozen=True)
class Reference:
    """What a model gets that has learned nothing, measure by measure. `chance`: it guesses all answers equally often.
    `majority`: it gives every row the one answer that is right most often.

    `misleads`: whether the measure that decides looks good for such a model; then the second one is told first.
    `words`: what such a model says.
    """

    chance: dict[str, float]
    majority: dict[str, float]
    misleads: bool = False
    words: str = "one and the same answer to every row, or guesses"

    def floor(self, measure: str) -> float:
        """The better of the two.

        >>> Reference({"accuracy": 0.5}, {"accuracy": 0.868}).floor("accuracy")
        0.868
        """
        return max(self.chance.get(measure, self.majority[measure]), self.majority[measure])


MISLEADING = 0.8
"""Where one answer is right for so many of the rows, a share of right rows says little about the others."""
