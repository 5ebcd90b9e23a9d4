"""Labels that may be one label written twice are asked about; names that only look alike are not."""

import pytest

from studio.data import near_labels as near
from studio.data.near_labels import near_labels


@pytest.mark.parametrize(
    ("one", "other"),
    [("1-star", "2-star"), ("A1", "A2"), ("cat", "car"), ("c", "c++"), ("type 1", "type 2"), ("level10", "level11"),
     ("Good", "good "), ("退款申请表", "退货申请表"), ("-100", "100"), ("internal", "external"),
     ("<=50K", ">50K"), ("HER2+", "HER2-"), ("spam", "!spam"), ("grade A", "grade A-"), ("moral", "amoral"),
     ("typical", "atypical"), ("house", "mouse"), ("1.5 litres", "1-5 litres"), ("dose > 10", "dose < 10")],
)  # fmt: skip
def test_names_that_are_meant_to_be_apart_are_not_asked_about(one, other):
    assert near_labels({one: 50, other: 3}) == []


def test_labels_a_letter_apart_that_both_have_many_rows_are_not_asked_about():
    assert near_labels({"sulfate": 50, "sulfite": 40}) == []


def test_of_labels_of_any_length_the_search_holds_each_against_a_few(monkeypatch):
    held = []
    apart = near.is_one_letter_apart
    monkeypatch.setattr(near, "is_one_letter_apart", lambda *words: held.append(words) or apart(*words))
    assert near_labels(dict.fromkeys([f"class of x{chr(ord('à') + number)}xxxx" for number in range(20)], 9)) == []
    assert 0 < len(held) <= near.MOST_ALIKE * 20
    held.clear()
    assert near_labels({"word" * 20 + "x": 9, "word" * 20: 90}) == []
    assert held == []


@pytest.mark.parametrize(
    ("rare", "usual"),
    [("refund.", "refund"), ("delievery", "delivery"), ("card-arrival", "card arrival"),
     ("Paymnet failed", "payment failed"), ("exchnge_rate", "exchange_rate"),
     ("<=50K.", "<=50K"), ("card - arrival", "card arrival"), ("A+ (grade)", "a+ grade")],
)  # fmt: skip
def test_a_sign_or_a_letter_apart_is_asked_about_with_the_usual_one_second(rare, usual):
    (found,) = near_labels({rare: 3, "other": 20, usual: 50})
    assert (found.rare, found.usual) == (rare, usual)


def test_a_label_is_in_one_question_at_most():
    found = near_labels({"refund": 50, "refunds": 9, "refund.": 3, "refunds.": 2})
    assert len({one.rare for one in found}) == len(found)
    assert not {one.rare for one in found} & {one.usual for one in found}
