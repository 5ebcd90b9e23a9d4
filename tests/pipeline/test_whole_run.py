"""A whole run, on models that train in seconds: its stages, its control, its plan, and what it refuses."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from studio import events
from studio.config.reading import parse_config
from studio.data import folder
from studio.distill import teacher_outputs
from studio.errors import ConfigError, ModelError
from studio.events import result_of
from studio.files import SUMS
from studio.models.model import Problem
from studio.models.opening import open_folder
from studio.pipeline import distill as trainer
from studio.pipeline import final_evaluation
from studio.pipeline.job import Job
from studio.tasks import encoded_text
from tests.conftest import TINY
from tests.distill.test_training import CPU


def run(home, saved, run_id=1, **changes):
    config = parse_config({"dataset": "reviews"} | TINY | changes)
    return list(trainer.distill(Job(run_id=run_id, config=config, dataset=home.dataset(saved.id), home=home)))


def test_a_whole_run_teaches_records_distils_controls_and_ends_with_a_verdict(home, saved):
    said = run(home, saved)
    begun = [event.phase for event in said if isinstance(event, events.PhaseStarted)]
    assert begun == ["prepare", "teach", "record", "distill", "control", "evaluate"]
    assert isinstance(said[-2], events.Verdict)
    found = {(event.role, event.metric) for event in said if isinstance(event, events.Evaluation)}
    metrics = {"accuracy", "f1_macro", "parameters", "size_bytes", "latency_ms", "latency_p95_ms"}
    metrics |= {"latency_32_ms", "latency_32_p95_ms"}
    expected = {(role, metric) for role in ("teacher", "student", "control", "baseline") for metric in metrics}
    ratios = {(role, name) for role in ("teacher", "control") for name in ("latency_ratio", "latency_32_ratio")}
    assert found == expected | ratios
    for role in ("teacher", "student", "control"):
        assert AutoModelForSequenceClassification.from_pretrained(home.model(1, role), use_safetensors=True)
        assert AutoTokenizer.from_pretrained(home.model(1, role))


def points(said, phase: str) -> list[dict[str, float]]:
    """What the curves of a phase show, without the looks at the validation data."""
    shown = [event for event in said if isinstance(event, events.Metrics) and event.phase == phase]
    return [event.values for event in shown if "loss" in event.values]


def weights_of(home, run_id: int, role: str) -> dict[str, torch.Tensor]:
    return load_file(home.model(run_id, role) / "model.safetensors")


def test_the_control_learns_nothing_from_the_teacher(home, saved, untested):
    """At alpha 0.7 it has no distillation loss, and it is what the student becomes at alpha 0, where the teacher counts
    nothing."""
    said = run(home, saved, alpha=0.7)
    assert all(set(values) == {"loss", "label_loss", "learning_rate"} for values in points(said, "control"))
    assert all("soft_target_loss" in values for values in points(said, "distill"))
    assert all(values["loss"] == values["label_loss"] for values in points(said, "control"))
    run(home, saved, run_id=2, alpha=0.0, control=False)
    control, student, alone = (
        weights_of(home, run_id, role) for run_id, role in ((1, "control"), (1, "student"), (2, "student"))
    )
    assert all(torch.equal(control[name], alone[name]) for name in control)
    assert not all(torch.equal(control[name], student[name]) for name in control)


def test_the_control_is_the_same_whatever_the_teacher_has_learned(home, saved, untested):
    """Also where the teacher answers live, names hard labels, and its choices stand in when the student is pruned."""
    way = {"terms": "soft_target, hint", "hard_epochs": 1, "plan": "prune:0.5, distill"}
    found = []
    for run_id, teacher_epochs in ((1, 1), (2, 4)):
        run(home, saved, run_id, **way, teacher_epochs=teacher_epochs)
        found.append([weights_of(home, run_id, role) for role in ("student", "control")])
    (first_student, first_control), (second_student, second_control) = found
    assert all(torch.equal(first_control[name], second_control[name]) for name in first_control)
    assert not all(torch.equal(first_student[name], second_student[name]) for name in first_student)


def test_student_and_control_start_from_the_same_weights_and_take_the_same_number_of_steps(home, saved, untested):
    said = run(home, saved)
    start = {
        event.phase: event.values["accuracy"] for event in said if isinstance(event, events.Metrics) and event.step == 0
    }
    steps = {event.phase: event.steps for event in said if isinstance(event, events.PhaseFinished)}
    assert start["distill"] == start["control"]
    assert steps["distill"] == steps["control"] > 0


def test_at_alpha_zero_student_and_control_are_the_same_model(home, saved):
    said = run(home, saved, alpha=0.0)
    found = {(event.role, event.metric): event.value for event in said if isinstance(event, events.Evaluation)}
    student, control = (
        AutoModelForSequenceClassification.from_pretrained(home.model(1, role)).state_dict()
        for role in ("student", "control")
    )
    assert found["student", "accuracy"] == found["control", "accuracy"]
    assert all(torch.equal(student[name], control[name]) for name in student)


def test_the_test_rows_are_read_once_after_all_training(home, saved, monkeypatch):
    held = set(folder.load(home.dataset(saved.id)).dict["test"]["text"][:])
    read, encode = [], encoded_text._encode

    def watching(texts, labels, *others):
        read.append(bool(held & set(texts)))
        return encode(texts, labels, *others)

    monkeypatch.setattr(encoded_text, "_encode", watching)
    config = parse_config({"dataset": "reviews", **TINY})
    for event in trainer.distill(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)):
        if isinstance(event, events.PhaseStarted):
            assert not any(read), f"{event.phase} begins, and test rows were read"
    assert any(read)


def test_the_teachers_answers_cover_the_training_rows_and_no_test_row(home, saved, untested):
    run(home, saved)
    (file,) = home.teacher_outputs.glob("*/logits.npy")
    assert len(np.load(file)) == saved.splits["train"]


def test_a_run_that_prunes_says_so_and_its_control_is_pruned_alike(home, saved):
    said = run(home, saved, prune_ratio=0.5)
    size = {
        event.role: event.value
        for event in said
        if isinstance(event, events.Evaluation) and event.metric == "parameters"
    }
    assert size["student"] == size["control"]
    assert any(isinstance(event, events.Log) and "Prune 50 % of neurons" in event.message for event in said)


def test_models_are_timed_in_torch_and_as_onnx_files_and_compared_in_each_for_itself(home, saved_digits):
    names = {"teacher": "builtin/mlp-64", "student": "builtin/mlp-16", "epochs": 1, "teacher_epochs": 1}
    said = run(home, saved_digits, **names, onnx_times=True)
    timed = {
        (event.role, event.metric): event
        for event in said
        if isinstance(event, events.Evaluation) and "latency" in event.metric
    }
    for role in ("teacher", "control"):
        assert timed[role, "latency_ratio"].runtime == "PyTorch"
        ratio = timed[role, "onnx_latency_ratio"]
        assert ratio.runtime == "ONNX Runtime"
        assert ratio.low <= ratio.value <= ratio.high
    assert timed["student", "onnx_latency_32_ms"].runtime == "ONNX Runtime"


def test_a_model_that_is_too_large_to_be_written_only_for_its_times_is_timed_in_torch_and_it_is_said(
    home, saved_digits, monkeypatch
):
    monkeypatch.setattr(final_evaluation, "LARGEST_FILE", 1)
    names = {"teacher": "builtin/mlp-64", "student": "builtin/mlp-16", "epochs": 1, "teacher_epochs": 1}
    said = run(home, saved_digits, **names, onnx_times=True)
    assert any(isinstance(event, events.Log) and "not timed in ONNX Runtime" in event.message for event in said)
    metrics = {event.metric for event in said if isinstance(event, events.Evaluation)}
    assert "latency_ms" in metrics and "onnx_latency_ms" not in metrics


def test_a_plan_is_measured_after_each_step_and_its_control_goes_the_same_way(home, saved_digits):
    plan = "prune:0.5, distill, factorize:0.2, distill:1, quantize:int8"
    said = run(home, saved_digits, plan=plan, epochs=2, teacher="builtin/mlp-64", student="builtin/mlp-64")
    phases = [event.phase for event in said if isinstance(event, events.PhaseStarted)]
    assert phases[phases.index("prune") :] == [
        "prune",
        "distill",
        "factorize",
        "distill-2",
        "quantize",
        "control",
        "control-2",
        "control-3",
        "evaluate",
    ]
    results = [event for event in said if isinstance(event, events.StageResult)]
    assert [result.title for result in results] == [
        "Teacher",
        "Student at first",
        "Prune 50 % of neurons or channels",
        "Distil",
        "Low rank, 20 % of the rank",
        "Distil, 1 epoch",
        "Quantize to int8",
    ]
    told = [event.message for event in said if isinstance(event, events.Log)]
    assert any("parameters became" in line for line in told if line.startswith("Prune"))
    assert any("as many as before" in line for line in told if line.startswith("Quantize"))
    sizes = [result.size_bytes for result in results[1:]]
    assert sizes[:-1] == sorted(sizes[:-1], reverse=True)  # so small a model is not smaller as ONNX
    assert all(result.low <= result.value <= result.high for result in results)
    measured = {(event.role, event.metric): event.value for event in said if isinstance(event, events.Evaluation)}
    assert measured["student", "size_bytes"] == results[-1].size_bytes == measured["control", "size_bytes"]
    int8 = [file for file in home.quantized(1, "student").iterdir() if file.name != SUMS]
    assert sum(file.stat().st_size for file in int8) == results[-1].size_bytes
    timed = [event for event in said if isinstance(event, events.Evaluation) and event.metric.startswith("latency")]
    assert {event.runtime for event in timed if event.role != "baseline"} == {"ONNX Runtime"}, "like with like"
    assert ("teacher", "latency_ratio") in {(event.role, event.metric) for event in timed}


@pytest.mark.parametrize(
    "plan",
    [
        [{"do": "prune", "ratio": 0.5, "rounds": 2}, "distill"],
        "distill, sparsify:0.8, distill:1",
        [{"do": "distill"}, {"do": "quantize", "form": "weights_int4", "epochs": 1}],
        "distill, quantize:codebook",
    ],
)
def test_every_kind_of_plan_ends_in_a_verdict_and_a_student_that_opens_as_it_was_measured(home, saved, plan):
    said = run(home, saved, plan=plan, epochs=2)
    assert any(isinstance(event, events.Verdict) for event in said)
    dataset = folder.load(home.dataset(saved.id))
    problem = Problem("text-classification", dataset.labels, dataset.dict["train"], 32)
    student = open_folder(home.model(1, "student"), problem)
    inputs = problem.task.encode(dataset.dict["test"], student.processor, student.network.config, 32)
    found = result_of(teacher_outputs.logits(student, inputs, CPU, lambda done: None)).values.argmax(-1)
    accuracy = next(
        event.value
        for event in said
        if isinstance(event, events.Evaluation) and (event.role, event.metric) == ("student", "accuracy")
    )
    assert float((found == inputs.labels).float().mean()) == pytest.approx(accuracy)


def test_a_plan_that_this_student_cannot_follow_is_refused_before_anything_is_trained(home, saved):
    with pytest.raises(ModelError, match="not a whole number"):
        run(home, saved, plan=[{"do": "prune", "ratio": 0.3, "units": ["heads"]}, "distill"])
    assert not home.model(1, "teacher").exists()


def test_closing_a_run_in_the_middle_saves_the_student_so_far(home, saved):
    config = parse_config({"dataset": "reviews", **TINY, "epochs": 50})
    steps = trainer.distill(Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home))
    for event in steps:
        if isinstance(event, events.Metrics) and event.phase == "distill" and event.step > 5:
            break
    steps.close()
    assert AutoModelForSequenceClassification.from_pretrained(home.model(1, "student"), use_safetensors=True)


def test_a_student_from_an_earlier_run_can_be_the_teacher_and_needs_no_teaching(home, saved):
    run(home, saved)
    config = parse_config({"dataset": "reviews", **TINY, "teacher": "run:1/teacher"})
    said = list(trainer.distill(Job(run_id=2, config=config, dataset=home.dataset(saved.id), home=home)))
    assert "teach" not in [event.phase for event in said if isinstance(event, events.PhaseStarted)]
    assert any(isinstance(event, events.Log) and "on disk already" in event.message for event in said)


def test_an_image_model_on_texts_is_refused(home, saved):
    with pytest.raises(ConfigError, match="not made for text-classification"):
        run(home, saved, student="builtin/cnn-tiny")


def test_a_task_that_is_not_the_data_sets_is_refused(home, saved):
    with pytest.raises(ConfigError, match="task must be text-classification"):
        run(home, saved, task="image-classification")
