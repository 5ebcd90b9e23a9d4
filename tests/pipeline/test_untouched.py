"""The student of a run as it was before it learned, measured beside the one that learned."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from studio import events, tasks
from studio.config.reading import parse_config
from studio.data.cleaning import clean
from studio.data.columns import Columns
from studio.data.folder import load
from studio.data.uploads import Upload
from studio.errors import ModelError
from studio.evaluate import metrics
from studio.kept import answers
from studio.models import saving
from studio.models.model import Problem
from studio.models.opening import build, open_folder
from studio.pipeline import distill as distilled
from studio.pipeline import untouched
from studio.pipeline.distill import distill
from studio.pipeline.job import Job
from studio.pipeline.timetable import Counts, has_untouched, timetable
from studio.service import library
from studio.tasks import language
from tests.conftest import TINY

TASK = language.TASK
TEXTS = [f"The {word} saw the {other} {row} times." for row, (word, other) in
         enumerate((word, other) for word in ("cat", "dog", "sun", "sea") for other in "abcdefghij")]  # fmt: skip


@pytest.fixture
def folders(tmp_path):
    """Two models that were saved somewhere else, by name; both cut texts alike."""
    problem = Problem(TASK.name, [], TASK.unlabelled(TEXTS), 24)
    for seed, name in enumerate(("gpt-small", "gpt-tiny")):
        torch.manual_seed(seed)
        saving.save(build(name, problem), tmp_path / name)
    return tmp_path


@pytest.fixture
def job(home, store, folders):
    columns = Columns("text", None)
    rows = clean(Upload("table", pd.DataFrame({"text": TEXTS}, dtype=object)), columns, TASK.name)
    saved = library.save(store, home, "lines", rows, columns)
    return Job(run_id=1, config=config_of(folders), dataset=home.dataset(saved.id), home=home)


def config_of(folders, **more):
    settings = {**TINY, "teacher": f"folder:{folders / 'gpt-small'}", "student": f"folder:{folders / 'gpt-tiny'}",
                "epochs": 2, "max_length": 24, "batch_size": 8, "learning_rate": 0.01, "allow_weak_teacher": True,
                "task": TASK.name, "dataset": "lines"}  # fmt: skip
    return parse_config(settings | more)


@pytest.fixture
def opened(monkeypatch):
    """The models that a run has opened to measure them as they were."""
    found, of_run = [], untouched.of_run
    monkeypatch.setattr(untouched, "of_run", lambda *given: found.append(of_run(*given)) or found[-1])
    return found


def values(said, role="untouched", split="test"):
    return {one.metric: one for one in said if isinstance(one, events.Evaluation) and one.seed is None
            and (one.role, one.split) == (role, split)}  # fmt: skip


def pairs(said):
    against = [one for one in said if isinstance(one, events.Comparison) and one.second == "untouched"]
    return [one for one in against if one.metric == "bits_per_byte"]


def same(network, folder):
    kept, now = load_file(folder / "model.safetensors"), network.state_dict()
    return all(torch.equal(now[name], weight) for name, weight in kept.items())


@pytest.mark.parametrize("more", [{}, {"lora_rank": 2}, {"plan": "prune:0.5, distill"}, {"seeds": 2}])
def test_the_student_is_measured_with_the_weights_it_came_with_whatever_it_learned(job, home, folders, opened, more):
    said = list(distill(job.model_copy(update={"config": config_of(folders, **more)})))
    (model,) = opened
    assert same(model.network, folders / "gpt-tiny"), "also after all was measured"
    fresh = open_folder(folders / "gpt-tiny", Problem(TASK.name, [], TASK.unlabelled(TEXTS), 24))
    rows = load(job.dataset).dict["test"]
    encoded = TASK.encode(rows, fresh.processor, fresh.network.config, 24)
    with torch.no_grad():
        batch = encoded.batch(torch.arange(len(encoded)))
        positions = encoded.positions(fresh.network(**batch).logits, torch.arange(len(encoded)))
    nats = float(torch.nn.functional.cross_entropy(positions.logits.double(), positions.labels, reduction="sum"))
    found = values(said)
    assert found["bits_per_byte"].value == pytest.approx(
        -nats / torch.tensor(2.0).log().item() / int(encoded.size.sum())
    )
    assert found["bits_per_byte"].low < found["bits_per_byte"].value < found["bits_per_byte"].high
    assert set(found) == set(values(said, "student")), "by the same measures, agreement with the teacher among them"
    sizes = values(said, split="")
    assert {name: one.value for name, one in sizes.items()} == {
        "parameters": sum(weights.numel() for weights in fresh.network.parameters())
    }, "it is not timed again"


def test_the_student_is_compared_with_what_it_was_on_the_same_rows(job, home):
    said = list(distill(job))
    (pair,) = pairs(said)
    statistics = tuple(answers.opened(home, 1, role).statistics for role in ("student", "untouched"))
    assert pair == metrics.compare(tasks.get(TASK.name), ("student", "untouched"), "test", statistics)
    now, before = (values(said, role)["bits_per_byte"].value for role in ("student", "untouched"))
    assert pair.difference == now - before > 0.5
    assert pair.low < pair.difference < pair.high
    (verdict,) = (one for one in said if isinstance(one, events.Verdict))
    assert f"Training made the student {pair.difference:.3f} better than it was" in verdict.sentence


def test_the_timetable_counts_its_rows():
    def steps(student):
        names = {"dataset": "d", "task": TASK.name, "teacher": "hub:a/b", "student": student}
        return timetable(parse_config(names), Counts(training=9, labelled=9, validation=5, test=7), [True])[-1].steps

    assert steps("hub:a/c") - steps("builtin/gpt-tiny") == 7


def test_under_several_seeds_all_students_are_compared_with_the_one_that_all_began_as(job, folders):
    said = list(distill(job.model_copy(update={"config": config_of(folders, seeds=2)})))
    assert [pair.seed for pair in pairs(said)] == [0, 1, None]
    first, second, mean = pairs(said)
    assert mean.difference == pytest.approx((first.difference + second.difference) / 2)
    assert mean.spread > 0
    (before,) = (one for one in said if isinstance(one, events.Evaluation)
                 and (one.role, one.metric) == ("untouched", "bits_per_byte"))  # fmt: skip
    assert before.seed is before.spread is None, "it is measured once"


def test_of_a_student_that_is_cut_it_is_told_what_cutting_alone_costs(job, folders, opened):
    config = config_of(folders, student="teacher/1-layer")
    said = list(distill(job.model_copy(update={"config": config})))
    (model,) = opened
    teacher = load_file(folders / "gpt-small" / "model.safetensors")
    mine = model.network.state_dict()
    (layers,) = {name.split(".")[2] for name in mine if name.startswith("model.layers.")}
    last = {name.replace("layers.0.", "layers.2."): weight for name, weight in mine.items()}
    assert layers == "0"
    assert all(torch.equal(last[name], weight) for name, weight in teacher.items() if name in last)
    assert values(said)["bits_per_byte"].value < values(said, "student")["bits_per_byte"].value
    assert len(pairs(said)) == 1


def test_a_run_that_is_stopped_while_it_is_evaluated_measures_the_same_when_it_goes_on(job, folders, opened):
    whole = values(distill(job))
    broken = job.model_copy(update={"run_id": 2})
    steps = distill(broken)
    for event in steps:
        if isinstance(event, events.Progress) and event.phase == "evaluate":
            steps.close()
            break
    assert values(distill(broken)) == whole
    assert len(opened) == 3
    assert all(same(model.network, folders / "gpt-tiny") for model in opened)


@pytest.mark.parametrize("student", ["builtin/gpt-tiny", "teacher/same"])
def test_a_student_that_nobody_has_trained_has_no_such_past(job, folders, opened, student):
    config = config_of(folders, student=student, control=False)
    said = list(distill(job.model_copy(update={"config": config})))
    assert not opened
    assert not values(said)
    assert not pairs(said)


@pytest.mark.parametrize("task", [name for name in tasks.TASKS if name != TASK.name])
def test_models_that_do_not_write_are_not_measured_so(task):
    config = parse_config({"dataset": "d", "teacher": "hub:a/b", "student": "hub:a/c", "task": task})
    assert not has_untouched(config)


def test_a_trial_on_validation_rows_does_not_look_back(job, folders, opened):
    said = list(distill(job.model_copy(update={"config": config_of(folders, evaluate_on="validation")})))
    assert not opened
    assert isinstance(said[-2], events.Verdict)


def test_a_student_whose_files_have_changed_is_left_out_in_words(job, folders, monkeypatch):
    monkeypatch.setattr(distilled.origins, "changed", lambda config, *_: (config.student,))
    said = list(distill(job))
    assert not values(said)
    (told,) = (one.message for one in said if isinstance(one, events.Log) and "as it was before" in one.message)
    assert told.endswith(f"The files of folder:{folders / 'gpt-tiny'} changed while the run went on.")
    assert any(isinstance(one, events.Verdict) for one in said)


def test_a_student_that_began_with_a_new_last_layer_is_not_measured_so(folders):
    model = open_folder(folders / "gpt-tiny", Problem(TASK.name, [], TASK.unlabelled(TEXTS), 24))
    assert untouched.is_measured(config_of(folders), model)
    assert not untouched.is_measured(config_of(folders), type(model)(model.network, model.processor, pretrained=True))


def test_a_finished_run_has_it_again_from_this_machine_alone(job, home, folders, monkeypatch):
    problem = Problem(TASK.name, [], TASK.unlabelled([]), 24)
    again = untouched.of_finished(config_of(folders), 1, home, problem)
    assert same(again.network, folders / "gpt-tiny")
    cut = untouched.of_finished(config_of(folders, student="teacher/1-layer"), 1, home, problem)
    assert cut.network.config.num_hidden_layers == 1
    monkeypatch.setattr(untouched.hub, "cached", lambda name: None)
    for missing in ("hub:org/small", "run:7/student", f"folder:{folders / 'gone'}"):
        with pytest.raises(ModelError, match=f"{missing} is no longer on this machine"):
            untouched.of_finished(config_of(folders, student=missing), 1, home, problem)
    monkeypatch.setattr(untouched.hub, "cached", {"org/small": folders / "gpt-tiny"}.get)
    found = untouched.of_finished(config_of(folders, student="hub:org/small"), 1, home, problem)
    assert same(found.network, folders / "gpt-tiny")
