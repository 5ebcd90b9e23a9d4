"""References to models: read once, written back as they were."""

import pytest

from studio.config.references import ModelReference
from studio.config.run import RunConfig

WRITTEN = (
    "folder:/models/my teacher",
    "hub:google-bert/bert-base-uncased",
    "run:3/student",
    "run:12/assistant-2",
    "teacher/1-layer",
    "teacher/6-layers",
    "teacher/same",
    "builtin/cnn-tiny",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_a_reference_is_written_as_it_is_read(text):
    assert str(ModelReference.parse(text)) == text


def test_only_a_model_of_a_run_has_a_run_and_a_role():
    parsed = {text: ModelReference.parse(text) for text in WRITTEN}
    runs = {text: (reference.run, reference.role) for text, reference in parsed.items() if reference.run is not None}
    assert runs == {"run:3/student": (3, "student"), "run:12/assistant-2": (12, "assistant-2")}
    assert {reference.role for text, reference in parsed.items() if text not in runs} == {""}


def test_only_a_model_that_is_cut_from_the_teacher_has_layers():
    parsed = {text: ModelReference.parse(text) for text in WRITTEN}
    cut = {text: reference.layers for text, reference in parsed.items() if reference.layers is not None}
    assert cut == {"teacher/1-layer": 1, "teacher/6-layers": 6}
    assert [text for text, reference in parsed.items() if reference.is_same] == ["teacher/same"]


STRANGE = (f"teacher/{'9' * 30}-layers", f"run:{'9' * 30}/student", "folder:/models/a\0b", "folder:/models/\x1b[2J")


@pytest.mark.parametrize("text", [None, "", "hub:", "run:3", "run:3/control", "teacher/0-layers", *STRANGE])
def test_what_is_no_reference_is_not_found_and_not_an_error(text):
    assert ModelReference.find(text) is None


def test_a_folder_of_nobody_who_is_known_here_is_a_folder_that_is_not_there():
    """Whoever asks shall not learn who has an account on the machine."""
    assert not ModelReference.parse("folder:~nobody-of-this-name/models").path.exists()


def test_a_config_names_every_model_that_its_run_opens():
    config = RunConfig(
        dataset="d",
        teacher="builtin/cnn-large",
        student="builtin/cnn-tiny",
        more_teachers=("run:3/teacher",),
        assistants=("run:4/student",),
    )
    assert list(map(str, config.references)) == [
        "builtin/cnn-large",
        "run:3/teacher",
        "run:4/student",
        "builtin/cnn-tiny",
    ]


@pytest.mark.parametrize("address", ["https://api.example.com/v1", "http://localhost:8080/v1"])
def test_an_address_in_place_of_a_model_is_told_the_way(address):
    with pytest.raises(ValueError, match=r"answer prompts first .page Data, or `data answer`., then take its answers"):
        ModelReference.parse(address)
