"""What is measured of written texts, against rouge-score 0.1.2 and by hand."""

import itertools
import math
import random
import re

import numpy as np
import pytest

from studio.evaluate import written

EXPECTED = "There once was a girl; she loved red apples a lot"


@pytest.mark.parametrize(
    ("text", "answer", "f1"),
    [
        ("the cat sat on the mat", "the cat is on the mat", 0.8333333333333334),
        ("Berlin is the capital of Germany.", "The capital of Germany is Berlin", 0.6666666666666666),
        ("", "a b", 0.0),
        ("Once upon a time there was a little girl who loved apples", EXPECTED, 0.5217391304347826),
        ("It's 42", "the answer: 42!", 0.3333333333333333),
    ],
)
def test_rouge_l_is_what_rouge_score_gives(text, answer, f1):
    assert written.rouge_l(text, answer) == pytest.approx(f1)


def test_chinese_is_compared_sign_by_sign():
    assert written.rouge_l("今天天气好", "今天天气不好") == pytest.approx(10 / 11)


def test_the_longest_common_sequence_is_the_longest_of_all():
    draw = random.Random(0)
    for _ in range(50):
        texts = ["".join(draw.choices("abc", k=draw.randint(1, 7))) for _ in range(2)]
        parts = [
            {part for size in range(len(text) + 1) for part in itertools.combinations(text, size)} for text in texts
        ]
        longest = max(map(len, parts[0] & parts[1]))
        assert written.rouge_l(*map(" ".join, texts)) == pytest.approx(2 * longest / sum(map(len, texts)))


def test_texts_without_a_word_are_alike_where_they_are_the_same():
    assert [written.rouge_l(*pair) for pair in (("!", "!"), ("!", "?"), ("", "?"), ("", ""))] == [1, 0, 0, 1]


STATISTICS = np.array([[1, 0.8, 4.0, 8, 0.5, 1, 3.0, 4], [0, 0.4, 2.0, 4, math.nan, math.nan, 5.0, 12]])


def test_the_teacher_s_bits_are_over_all_bytes_and_a_text_without_a_pair_of_words_does_not_count():
    found = written.measure(STATISTICS)
    assert found["exact_match"] == 0.5
    assert found["rouge_l"] == pytest.approx(0.6)
    assert found["teacher_bits_per_byte"] == pytest.approx(-0.5 / math.log(2))
    assert found["distinct_2"] == 0.5


def test_how_far_a_model_is_from_the_teacher_is_over_all_tokens_and_the_teacher_itself_is_not():
    assert written.measure(STATISTICS)["teacher_kl"] == -0.5
    itself = STATISTICS * np.array([1, 1, 1, 1, 1, 1, 0, 1])
    told = written.FROM_THE_TEACHER.as_known(*written.with_intervals(itself)["teacher_kl"])
    assert list(map(str, told)) == ["0.0"] * 3


def test_a_row_in_whose_answer_the_rule_finds_nothing_does_not_count_for_it():
    rows = np.repeat(STATISTICS, 30, 0)
    assert written.measure(rows)["by_rule"] == 1
    assert written.with_intervals(rows)["by_rule"] == pytest.approx((1, *written.intervals.accuracy_interval(30, 30)))
    wrong = rows.copy()
    wrong[:6, 5] = 0
    ruled = next(one for one in written.compare(("student", "control"), wrong, rows) if one.metric == "by_rule")
    assert (ruled.n, ruled.gained, ruled.lost, ruled.difference) == (30, 0, 6, pytest.approx(-0.2))


@pytest.mark.parametrize(
    ("rule", "text", "found"),
    [
        (r"\d+", "2 and 3", "3"),
        (r"#### *(.+)", "so\n#### 1,000 \nend", "1,000"),
        (r"x*", "abc", None),
        ("(a)|b", "b", None),
    ],
)
def test_a_rule_finds_the_last_of_its_first_group(rule, text, found):
    assert written.found_by(re.compile(rule), text) == found


def test_plain_texts_have_no_answers_to_be_compared_with():
    texts = STATISTICS.copy()
    texts[:, [0, 1, 5]] = math.nan
    left = {"teacher_kl", "teacher_bits_per_byte", "distinct_2"}
    assert set(written.with_intervals(texts)) == left
    assert {one.metric for one in written.compare(("student", "control"), texts, texts)} == left


def test_exact_answers_are_compared_row_by_row():
    first, second = np.repeat(STATISTICS[:1], 40, 0), np.repeat(STATISTICS[:1], 40, 0)
    second[:10, 0] = 0
    exact = next(one for one in written.compare(("student", "control"), first, second) if one.metric == "exact_match")
    assert (exact.gained, exact.lost, exact.difference) == (10, 0, 0.25)
    assert exact.p_value == pytest.approx(2 * 0.5**10)
    assert 0 < exact.low < 0.25 < exact.high


def test_a_model_that_the_teacher_finds_likelier_is_the_better_one():
    draws = np.random.default_rng(0).normal(10, 1, 50)
    none, whole = np.full(50, math.nan), np.full(50, 9.0)
    first = np.stack([none, none, draws, whole, np.full(50, 0.9), none, none, whole], 1)
    second = first + np.array([0, 0, 2.0, 0, 0, 0, 0, 0])
    (bits,) = (one for one in written.compare(("student", "control"), first, second) if "bits" in one.metric)
    assert bits.difference == pytest.approx(2 / math.log(2) / 9)
    assert 0 < bits.low <= bits.high
    assert bits.p_value < 0.01
