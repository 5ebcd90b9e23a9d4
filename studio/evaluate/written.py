"""How good what a language model writes is, text by text: against the answers in the data, in the eyes of the teacher,
and against itself; and how far what it would say of each token of the data lies from what its teacher would."""

import itertools
import math
import re
from collections.abc import Sequence

import numpy as np

from studio.evaluate import intervals
from studio.events import Comparison, Role
from studio.tasks import Measure

EXACT = Measure(
    "exact_match",
    "Exact answers",
    "How often the model writes the answer in the data to the letter; blanks at the ends and double ones do not count.",
    interval="share",
)
ROUGE_L = Measure(
    "rouge_l",
    "ROUGE-L",
    "How much of the answer in the data the model writes, in its order: F1 of the longest sequence of words that both "
    "share (Lin, 2004). 100 % is the same words in the same order.",
)
FOR_THE_TEACHER = Measure(
    "teacher_bits_per_byte",
    "Bits per byte for the teacher",
    "How surprising the teacher finds what the model writes: the lower, the more it writes as the teacher would. A "
    "model that repeats itself is unsurprising, too: see distinct word pairs.",
    unit="number",
    lower=True,
)
DISTINCT = Measure(
    "distinct_2",
    "Distinct word pairs",
    "Of all pairs of neighbouring words in a text, how many are different ones (Li et al., 2016): a model that repeats "
    "itself has few.",
)
BY_RULE = Measure(
    "by_rule",
    "Right by your rule",
    "How often what your pattern finds last in the model's answer is what it finds last in the answer in the data.",
    interval="share",
)
FROM_THE_TEACHER = Measure(
    "teacher_kl",
    "KL to the teacher",
    "How far what the model says of the next token lies from what the teacher says, at every token of these rows: the "
    "Kullback–Leibler divergence in nats, whole answers at temperature 1. The lower, the closer; 0 is the same.",
    unit="number",
    lower=True,
)
MEASURES = (EXACT, BY_RULE, ROUGE_L, FROM_THE_TEACHER, FOR_THE_TEACHER, DISTINCT)
OF_ROWS = {EXACT.name: 0, BY_RULE.name: 5}
"""Those that are right or wrong in each row, with their columns."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def words(text: str) -> list[str]:
    """The words of a text in small letters; of Chinese and Japanese each sign.

    >>> words("The end, isn't it? 今天")
    ['the', 'end', 'isn', 't', 'it', '今', '天']
    """
    return _WORD.findall(text.lower())


def is_exact(written: str, expected: str) -> bool:
    """Whether both are the same, blanks aside.

    >>> is_exact(" Berlin  Mitte\\n", "Berlin Mitte"), is_exact("berlin", "Berlin")
    (True, False)
    """
    return written.split() == expected.split()


def rouge_l(written: str, expected: str) -> float:
    """F1 of the longest common subsequence of words (Lin, 2004), from 0 to 1; of two texts without a word, whether they
    are the same.

    >>> round(rouge_l("the cat sat on the mat", "the cat is on the mat"), 4)
    0.8333
    """
    first, second = words(written), words(expected)
    if not first or not second:
        return float(is_exact(written, expected))
    return 2 * longest_common(first, second) / (len(first) + len(second))


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest sequence that stands in both in its order, with gaps; a row of the usual table as the
    bits of one number (Hyyrö, 2004), which long answers need."""
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    everywhere = row = (1 << len(first)) - 1
    for word in second:
        match = row & places.get(word, 0)
        row = (row + match | row - match) & everywhere
    return len(first) - row.bit_count()


def found_by(rule: re.Pattern[str], text: str) -> str | None:
    """What a pattern finds last in a text, of its first group where it has one; None where it finds nothing.

    >>> found_by(re.compile(r"#### *(\\S+)"), "2 + 2 = 4\\n#### 4"), found_by(re.compile(r"\\d+"), "none")
    ('4', None)
    """
    found = [match[1] if rule.groups else match[0] for match in rule.finditer(text)]
    return (found[-1] or "").strip() or None if found else None


def distinct_2(text: str) -> float:
    """The share of different ones among the pairs of neighbouring words; NaN where there is no pair.

    >>> distinct_2("so good so good so good")
    0.4
    """
    said = words(text)
    pairs = list(itertools.pairwise(said))
    return len(set(pairs)) / len(pairs) if pairs else math.nan


def measure(statistics: np.ndarray) -> dict[str, float]:
    """`statistics` (rows, 8): exact (0 or 1), ROUGE-L, nats of the teacher, bytes, distinct word pairs, right by a rule
    (0 or 1), KL to the teacher in nats, its tokens; NaN where a row has none -> the value of each measure over these
    rows."""
    exact, rouge, nats, size, distinct, ruled, apart, tokens = statistics.T
    return {
        EXACT.name: _mean(exact),
        BY_RULE.name: _mean(ruled),
        ROUGE_L.name: _mean(rouge),
        FROM_THE_TEACHER.name: -float(apart.sum()) / max(float(tokens.sum()), 1.0),
        FOR_THE_TEACHER.name: -float(nats.sum()) / math.log(2) / max(float(size.sum()), 1.0),
        DISTINCT.name: _mean(distinct),
    }


def _mean(values: np.ndarray) -> float:
    known = _known(values)
    return float(known.mean()) if len(known) else math.nan


def _known(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def measures_of(statistics: np.ndarray) -> tuple[Measure, ...]:
    """Those that these rows have."""
    values = measure(statistics)
    return tuple(metric for metric in MEASURES if not math.isnan(values[metric.name]))


def with_intervals(statistics: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """(value, low, high) of each measure: Wilson's 95 % interval of a share of texts, else the bootstrap's."""
    values, ends = measure(statistics), intervals.bootstrap(statistics, measure)
    for name, column in OF_ROWS.items():
        known = _known(statistics[:, column])
        if len(known):
            ends[name] = intervals.accuracy_interval(int(known.sum()), len(known))
    return {measure.name: (values[measure.name], *ends[measure.name]) for measure in measures_of(statistics)}


def compare(roles: tuple[Role, Role], first: np.ndarray, second: np.ndarray) -> list[Comparison]:
    """How two models differ in each measure after the same openings, with the 95 % interval of the paired difference:
    of exact answers as of a share of rows, of the others by drawing rows anew."""
    return [_compared(roles, metric, first, second) for metric in measures_of(first) if metric in measures_of(second)]


def _compared(roles: tuple[Role, Role], metric: Measure, first: np.ndarray, second: np.ndarray) -> Comparison:
    difference = measure(first)[metric.name] - measure(second)[metric.name]
    common = {"first": roles[0], "second": roles[1], "split": "test", "metric": metric.name, "n": len(first),
              "difference": difference}  # fmt: skip
    if metric.name in OF_ROWS:
        mine, theirs = (_known(statistics[:, OF_ROWS[metric.name]]) > 0 for statistics in (first, second))
        gained, lost = int((mine & ~theirs).sum()), int((~mine & theirs).sum())
        low, high = intervals.paired_difference(len(mine), gained, lost)
        p_value = intervals.mcnemar(gained, lost)
        return Comparison(**common | {"n": len(mine)}, low=low, high=high, p_value=p_value, gained=gained, lost=lost)
    low, high = intervals.paired_bootstrap(first, second, measure, metric.name)
    p_value = intervals.permutation_test(first, second, measure, metric.name)
    return Comparison(**common, low=low, high=high, p_value=p_value)
