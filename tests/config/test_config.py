import pytest

from studio.config.reading import PRESETS, parse_config, parse_yaml
from studio.config.run import RunConfig
from studio.config.sweep import parse_sweep_yaml
from studio.errors import ConfigError

WHOLE = {"dataset": "reviews", "teacher": "builtin/transformer-base", "student": "teacher/2-layers"}


def test_a_value_out_of_range_is_refused_with_name_range_and_value():
    with pytest.raises(ConfigError, match=r"alpha must be between 0 and 1, got 1\.4"):
        parse_config(WHOLE | {"alpha": 1.4})


def test_every_wrong_value_is_named_at_once():
    with pytest.raises(ConfigError) as told:
        parse_config(WHOLE | {"alpha": 2, "epochs": 0, "device": "gpu"})
    assert all(name in str(told.value) for name in ("alpha", "epochs", "device"))


def test_an_unknown_setting_is_refused_and_the_known_ones_are_listed():
    with pytest.raises(ConfigError, match=r"no setting 'temprature'.*temperature"):
        parse_config(WHOLE | {"temprature": 3})


@pytest.mark.parametrize(
    "reference", ["", "bert", "folder:", "hub:a/b/c", "run:x/student", "builtin/GPT 2", "teacher/0-layers"]
)
def test_a_model_reference_of_no_known_form_is_refused(reference):
    with pytest.raises(ConfigError):
        parse_config(WHOLE | {"student": reference})


def test_a_teacher_cannot_be_cut_from_itself():
    with pytest.raises(ConfigError, match="cannot be cut from itself"):
        parse_config(WHOLE | {"teacher": "teacher/2-layers"})


def test_a_config_written_as_yaml_reads_back_equal():
    config = parse_config(WHOLE | {"learning_rate": 5e-5, "control": False})
    assert parse_yaml(config.to_yaml()) == config


def test_yaml_writes_a_rate_without_a_point_and_it_is_still_a_number():
    assert (
        parse_yaml("{dataset: d, teacher: builtin/mlp-800, student: builtin/mlp-64, learning_rate: 5e-5}").learning_rate
        == 5e-5
    )


def test_overrides_win_over_the_file():
    config = parse_yaml(RunConfig(**WHOLE).to_yaml(), ["epochs=9", "control=false", "temperature=2.5"])
    assert (config.epochs, config.control, config.temperature) == (9, False, 2.5)


@pytest.mark.parametrize("text", ["- a\n- b", "a: [", "just words"])
def test_yaml_that_is_no_list_of_settings_is_refused_in_words(text):
    with pytest.raises(ConfigError):
        parse_yaml(text)


OF_FEW_LETTERS = "a: &a [x, x]\nb: &b [*a, *a]\nalpha: [*b, *b]"
BOMBS = {
    "aliases": OF_FEW_LETTERS, "far too deep": "plan: " + "[" * 2000 + "]" * 2000,
    "too long": f"dataset: {'x' * 100_001}",
    "a number without end": "seed: " + "9" * 10_000, "one to the base of 60": "seed: 1" + ":1" * 3_000,
    "a date that is none": "seed: 2027-13-45",
}  # fmt: skip


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("parse", [parse_yaml, parse_sweep_yaml])
def test_yaml_that_would_take_memory_or_time_is_refused_before_it_does(parse, text):
    with pytest.raises(ConfigError, match="is not valid YAML") as told:
        parse(text)
    assert len(str(told.value)) < 1_000


@pytest.mark.parametrize("values", ["." * 90_000 + "x", "[" + "1, " * 1_001 + "]"], ids=["a long range", "many values"])
def test_a_search_whose_values_take_long_to_read_is_refused(values):
    base = parse_config(WHOLE).to_yaml().replace("\n", "\n  ")
    with pytest.raises(ConfigError, match="cannot be used"):
        parse_sweep_yaml(f"base:\n  {base}\nsearch:\n  temperature: {values}")


def test_every_preset_is_a_valid_config():
    for values in PRESETS.values():
        parse_config(WHOLE | values)


def test_every_setting_has_a_title_and_a_sentence_of_help():
    for name, field in RunConfig.model_fields.items():
        assert field.title, name
        assert field.description, name


def test_terms_are_read_as_a_person_writes_them_and_come_back_from_yaml():
    written = parse_config({**WHOLE, "terms": "soft_target, hint:0.5"})
    assert [(term.loss, term.share) for term in written.terms] == [("soft_target", 1.0), ("hint", 0.5)]
    assert written == parse_config({**WHOLE, "terms": [{"loss": "soft_target"}, {"loss": "hint", "weight": 0.5}]})
    assert parse_yaml(written.to_yaml()) == written


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"terms": "magic"}, "there is no loss 'magic'; there are soft_target, "),
        ({"terms": "hint:-1"}, "terms.0.weight must be greater than 0, got '-1'"),
        ({"terms": "hint, hint"}, "terms must name each loss once"),
        ({"terms": [{"weight": 1}]}, "a term is written as in `hint:0.5`"),
        ({"terms": [{"loss": "hint", "wait": 1}]}, "got {'loss': 'hint', 'wait': 1}"),
        ({"terms": 4}, "terms must be a list, got 4"),
        ({"augment": "masked_word"}, "masked_word needs masked_model"),
        ({"masked_model": "builtin/mlp-16"}, "masked_model must be hub:ORG/NAME or folder:PATH"),
        ({"more_teachers": ["teacher/same"]}, "teacher cannot be cut from itself, got 'teacher/same'"),
        ({"assistants": "nobody"}, "'nobody' is not a model"),
        ({"chain": "shrinking", "student": "teacher/1-layer"}, "fewer and fewer layers"),
        (
            {"chain": "shrinking", "assistants": "builtin/mlp-64", "student": "teacher/1-layer"},
            "write `teacher/K-layers`",
        ),
    ],
)
def test_what_is_wrong_in_a_way_to_distil_is_named(values, told):
    with pytest.raises(ConfigError) as error:
        parse_config({**WHOLE, **values})
    assert told in error.value.message


def test_a_config_of_an_older_version_is_still_read():
    config = parse_config({**WHOLE, "temperature": 4, "alpha": 0.7, "control": True})
    assert config.terms == ()
    assert config.chain == "assistants"
