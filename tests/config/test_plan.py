"""The plan: what is written, what is refused, what is carried out."""

import re

import pytest
from pydantic import ValidationError

from studio.config import plan
from studio.config.plan import Distill, Factorize, Prune, Quantize, Sparsify
from studio.config.reading import parse_config, parse_yaml
from studio.errors import ConfigError
from studio.events import PhaseStarted
from tests.conftest import TINY

RUN = {"dataset": "reviews", **TINY}


def steps_of(**values):
    return parse_config({**RUN, **values}).steps


def test_without_a_plan_the_student_is_pruned_by_the_ratio_and_then_learns():
    assert steps_of(prune_ratio=0.5) == (Prune(ratio=0.5), Distill())
    assert steps_of() == (Distill(),)


@pytest.mark.parametrize(
    "written",
    [
        "prune:0.5, distill:2, factorize:0.25, quantize:int8_static",
        ["prune:0.5", {"do": "distill", "epochs": 2}, "factorize:0.25", {"do": "quantize", "form": "int8_static"}],
    ],
)
def test_a_plan_reads_alike_as_one_line_and_as_a_list(written):
    expected = (Prune(ratio=0.5), Distill(epochs=2), Factorize(rank=0.25), Quantize(form="int8_static"))
    assert steps_of(plan=written) == expected


def test_a_plan_goes_into_yaml_and_comes_back_as_it_was():
    config = parse_config({**RUN, "plan": [{"do": "prune", "ratio": 0.5, "units": ["heads"], "rounds": 2}, "distill"]})
    assert parse_yaml(config.to_yaml()) == config


def test_a_prune_step_without_a_ratio_takes_the_prune_ratio():
    assert steps_of(plan="prune, distill", prune_ratio=0.3)[0] == Prune(ratio=0.3)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("prune:0.5", "a plan needs a step `distill`"),
        ("quantize:int8, distill", "distill cannot follow quantize"),
        ("distill, quantize:int8, quantize:codebook", "quantize cannot follow quantize"),
        ("sparsify:0.5, prune:0.5, distill", "prune cannot follow sparsify; prune first"),
        ("factorize:0.5, prune:0.5, distill", "prune cannot follow factorize; prune first"),
        ("sparsify:0.5, factorize:0.5, distill", "factorize cannot follow sparsify; factorize first"),
        ("shrink:0.5, distill", "there is no step 'shrink'; there are prune, sparsify"),
        ("prune:1.4, distill", "less than or equal to 0.95, got '1.4'"),
        ("prune, distill", "a step `prune` needs a ratio"),
        ("sparsify, distill", "either a ratio or a threshold, got neither"),
        ("distill, quantize:int3", "got 'int3'"),
        ([{"do": "factorize", "rank": 0.5, "energy": 0.9}, "distill"], "either a rank or an energy, got 0.5 and 0.9"),
        ([{"do": "quantize", "to": "int8"}], "the step quantize has no setting 'to'; it has form, epochs"),
        ([{"ratio": 0.3}], "each step says what to `do`: prune, sparsify, factorize, distill, quantize, got"),
        ([{"do": ["prune"]}], "there is no step ['prune']; there are prune, sparsify"),
        ([3], "a step is written as in `prune:0.5`"),
        ({"do": "prune"}, "plan must be a list, got {'do': 'prune'}"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_reason(written, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        steps_of(plan=written)


def test_two_ratios_for_one_thing_are_refused():
    with pytest.raises(ConfigError, match="say the same"):
        steps_of(plan="prune:0.5, distill", prune_ratio=0.3)


def test_rounds_take_away_the_whole_share_in_equal_parts():
    left, total = [], 1.0
    for step in plan.rounds(Prune(ratio=0.6, rounds=3)):
        if isinstance(step, Prune):
            total *= 1 - step.ratio
            left.append(total)
    assert left == pytest.approx([0.8, 0.6, 0.4])


def test_the_epochs_of_all_lessons_are_counted():
    steps = [Prune(ratio=0.5, rounds=3, epochs=2), Distill(), Sparsify(ratio=0.5), Quantize(form="int8", epochs=1)]
    assert plan.learning_epochs(steps, 4) == 2 * 2 + 4 + 1


@pytest.mark.parametrize("name", plan.KINDS)
def test_every_step_brings_its_own_word_help_and_first_values(name):
    kind = plan.KINDS[name]
    first = kind(**kind.first)
    assert first.do == name
    assert first.title and kind.word and kind.help
    assert kind.main in kind.model_fields


def test_a_recipe_takes_the_form_of_int8_that_suits_the_task():
    plain = plan.RECIPES["int8"].plan("int8", 0.0)
    static = plan.RECIPES["int8"].plan("int8_static", 0.5)
    assert plain == [{"do": "distill"}, {"do": "quantize", "form": "int8"}]
    assert static == [{"do": "prune"}, {"do": "distill"}, {"do": "quantize", "form": "int8_static"}]


def test_a_stage_has_the_name_of_any_step_and_is_counted():
    assert PhaseStarted(phase="clip").phase == "clip"
    assert PhaseStarted(phase="clip_weights-12").phase == "clip_weights-12"
    for wrong in ("", "clip-0", "Clip", "clip 2", "clip-"):
        with pytest.raises(ValidationError):
            PhaseStarted(phase=wrong)
