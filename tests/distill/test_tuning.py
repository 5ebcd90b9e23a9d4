"""When another temperature and alpha are taken than the user's own."""

from studio import tasks
from studio.distill.tuning import Pilot, decide
from studio.tasks import Reference

ACCURACY = tasks.get("text-classification").measures[0]
NOTHING = Reference({"accuracy": 0.0}, {"accuracy": 0.0})


def pilots(own: float, other: float) -> list[Pilot]:
    return [Pilot(4.0, 0.7, own), Pilot(2.0, 0.9, other), Pilot(1.0, 0.5, 0.1)]


def test_the_users_own_pair_stays_where_another_is_better_by_no_more_than_chance():
    """At 80 % of 100 rows the standard error of a difference is 5 points."""
    chosen, reason = decide(pilots(0.80, 0.88), rows=100, tried=9, measure=ACCURACY, nothing=NOTHING)
    assert (chosen.temperature, chosen.alpha) == (4.0, 0.7)
    assert reason.startswith("Kept yours")


def test_a_pair_that_is_clearly_better_is_taken():
    chosen, _ = decide(pilots(0.80, 0.91), rows=100, tried=9, measure=ACCURACY, nothing=NOTHING)
    assert (chosen.temperature, chosen.alpha) == (2.0, 0.9)


def test_the_standard_error_shrinks_with_the_rows():
    few, _ = decide(pilots(0.80, 0.82), rows=100, tried=9, measure=ACCURACY, nothing=NOTHING)
    many, _ = decide(pilots(0.80, 0.82), rows=10_000, tried=9, measure=ACCURACY, nothing=NOTHING)
    assert few.temperature == 4.0
    assert many.temperature == 2.0


def test_one_row_more_is_chance_also_where_the_own_pair_got_none_right():
    chosen, _ = decide(
        [Pilot(4.0, 0.7, 0.0), Pilot(2.0, 0.9, 0.004)], rows=200, tried=2, measure=ACCURACY, nothing=NOTHING
    )
    assert chosen.temperature == 4.0


def test_trials_that_are_no_better_than_one_answer_for_every_row_were_too_short_and_change_nothing():
    """At 1 in 150 of 400 rows one standard error is 0.4 points."""
    one_answer = Reference({"accuracy": 1 / 150}, {"accuracy": 0.01})
    chosen, reason = decide(pilots(0.004, 0.012)[:2], rows=400, tried=9, measure=ACCURACY, nothing=one_answer)
    assert (chosen.temperature, chosen.alpha) == (4.0, 0.7)
    assert "too short to learn much (at best 1.2 %, one and the same answer to every row, or guesses 1.0 %" in reason
    for hardly_more, alpha in ((0.05, 0.7), (0.08, 0.9)):
        tried = pilots(0.004, hardly_more)[:2]
        assert decide(tried, rows=400, tried=9, measure=ACCURACY, nothing=one_answer)[0].alpha == alpha
