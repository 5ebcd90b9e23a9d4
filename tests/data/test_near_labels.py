"""Labels that may be one label written twice are asked about; names that only look alike are not."""

import pytest

from studio.data.near_labels import near_labels


@pytest.mark.parametrize(
    ("one", "other"),
    [("1-star", "2-star"), ("A1", "A2"), ("cat", "car"), ("c", "c++"), ("type 1", "type 2"), ("level10", "level11"),
     ("Good", "good "), ("退款申请表", "退货申请表"), ("-100", "100"), ("internal", "external")],
)  # fmt: skip
def test_names_that_are_meant_to_be_apart_are_not_asked_about(one, other):
    assert near_labels({one: 50, other: 3}) == []


@pytest.mark.parametrize(
    ("rare", "usual"),
    [("refund.", "refund"), ("delievery", "delivery"), ("card-arrival", "card arrival"),
     ("Paymnet failed", "payment failed"), ("exchnge_rate", "exchange_rate")],
)  # fmt: skip
def test_a_sign_or_a_letter_apart_is_asked_about_with_the_usual_one_second(rare, usual):
    (found,) = near_labels({rare: 3, "other": 20, usual: 50})
    assert (found.rare, found.usual) == (rare, usual)


def test_a_label_is_in_one_question_at_most():
    found = near_labels({"refund": 50, "refunds": 9, "refund.": 3, "refunds.": 2})
    assert len({one.rare for one in found}) == len(found)
    assert not {one.rare for one in found} & {one.usual for one in found}
