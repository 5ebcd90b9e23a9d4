"""The list of faults fits today's code, and whoever runs it tells a fault that is noticed from one that is not."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants import __main__ as runner
from tests.mutants.faults import PROJECT, Fault, StaleFaultError, read

FAULTS = read()
MODULES = {
    "losses": "studio/distill/losses.py",
    "objective": "studio/distill/objective.py",
    "fit": "studio/distill/fit.py",
    "timetable": "studio/pipeline/timetable.py",
    "control": "studio/pipeline/distill.py",
    "teaching": "studio/pipeline/fitting.py",
    "resume": "studio/files.py",
    "pruning": "studio/compress/structured.py",
    "quantization": "studio/compress/quantized.py",
    "intervals": "studio/evaluate/intervals.py",
    "verdict": "studio/evaluate/verdict.py",
    "splits": "studio/data/folder.py",
}


def test_there_are_at_least_80_faults_with_names_of_their_own_in_all_modules_that_decide_numbers():
    assert len(FAULTS) >= 80
    assert [name for name, count in Counter(fault.name for fault in FAULTS).items() if count > 1] == []
    assert set(MODULES.values()) - {fault.file for fault in FAULTS} == set()


@pytest.mark.parametrize("file", sorted({fault.file for fault in FAULTS}))
def test_every_fault_fits_todays_code_once_and_is_still_python(file):
    source = (PROJECT / file).read_text()
    for fault in FAULTS:
        if fault.file == file:
            compile(fault.applied(source), fault.name, "exec")


def test_the_tests_of_every_fault_are_there():
    for fault in FAULTS:
        for test in fault.tests:
            file, _, name = test.partition("::")
            assert (PROJECT / file).exists(), fault.name
            assert not name or f"def {name}(" in (PROJECT / file).read_text(), f"{fault.name}: {test}"


@pytest.mark.parametrize("source", ["nothing alike", "a + b; a + b", ""])
def test_a_fault_whose_line_is_not_there_once_is_stale(source):
    with pytest.raises(StaleFaultError):
        Fault("toy", "toy.py", "a + b", "a - b", ()).applied(source)


TOY = Fault("plus is minus", "studio/toy.py", "a + b", "a - b", ("tests/test_toy.py",))


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """One copy of a project that is a sum and its test."""
    project = tmp_path_factory.mktemp("project")
    for name in ("studio", "tests", ".git"):
        (project / name).mkdir()
    shutil.copytree(Path(__file__).parent, project / "tests" / "mutants")
    (project / "studio" / "toy.py").write_text("def add(a, b):\n    return a + b\n")
    (project / "tests" / "test_toy.py").write_text(
        "from studio.toy import add\n\ndef test_a_sum():\n    assert add(2, 2) == 4\n"
    )
    with runner.copies(project, libraries=(), count=1) as made:
        yield made


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, runner.KILLED),
        ({"becomes": "b + a"}, runner.SURVIVED),
        ({"line": "a * b"}, runner.STALE),
        ({"file": "studio/gone.py"}, runner.STALE),
        ({"becomes": "a +"}, runner.STALE),
        ({"tests": ("tests/test_gone.py",)}, runner.UNFIT),
    ],
)
def test_a_fault_that_a_test_notices_is_told_from_one_that_none_does(copies, changes, result):
    fault = Fault(**(vars(TOY) | changes))
    (outcome,) = runner.spread(copies, [fault])
    assert outcome.result == result, outcome.detail
    assert (copies[0].folder / "studio" / "toy.py").read_text().endswith("a + b\n")
    assert runner.concluded([outcome], 1.0) == (result != runner.KILLED)


def test_tests_that_fail_without_a_fault_are_told_first(copies):
    assert runner.failing_as_it_is(copies, [TOY]) == ""
    always = copies[0].folder / "tests" / "test_always.py"
    always.write_text("def test_nothing():\n    assert False, 'as ever'\n")
    fault = Fault(**(vars(TOY) | {"tests": ("tests/test_always.py",)}))
    assert "as ever" in runner.failing_as_it_is(copies, [fault])
