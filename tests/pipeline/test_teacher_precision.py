"""A run whose teacher answers in fewer bits: the student is cut from it in full, and all that is told is of that
form."""

import pytest
import torch
from safetensors.torch import load_file

from studio import events, tasks
from studio.config.reading import parse_config
from studio.errors import ModelError
from studio.models import layers, opening, precision
from studio.pipeline import prepare, why
from studio.pipeline.distill import distill
from studio.pipeline.predict import open_role
from tests.conftest import TINY


@pytest.mark.parametrize("held", ["bfloat16", "4bit"])
def test_a_run_with_a_teacher_in_fewer_bits(held, job, home, monkeypatch):
    if held == "4bit":
        pytest.importorskip("bitsandbytes")
    settings = {**TINY, "teacher": "builtin/transformer-base", "student": "teacher/2-layers", "onnx_times": True}
    config = parse_config({"dataset": "reviews", **settings, "teacher_precision": held, "epochs": 1})
    job = job.model_copy(update={"config": config})
    cut_from = []
    cut_layers = layers.cut_layers
    monkeypatch.setattr(prepare, "cut_layers", lambda model, keep: cut_from.append(model) or cut_layers(model, keep))
    said = list(distill(job))
    assert {model.precision for model in cut_from} == {"float32"}
    kept = load_file(home.model(1, "teacher") / "model.safetensors")
    assert {weight.dtype for weight in kept.values()} == {torch.float32}
    last = cut_from[-1].network.state_dict()
    assert all(torch.equal(last[name], weight) for name, weight in kept.items()), "the teacher after it has learned"
    (verdict,) = (one for one in said if isinstance(one, events.Verdict))
    (caution,) = (one for one in verdict.cautions if one.code == "fewer_bits")
    assert f"its weights in {held}" in caution.sentence
    found = {(one.role, one.metric): one for one in said if isinstance(one, events.Evaluation)}
    assert found["teacher", "latency_ms"].runtime == f"PyTorch, {held}"
    assert found["student", "latency_ms"].runtime == "PyTorch"
    assert ("teacher", "latency_ratio") not in found
    assert ("control", "latency_ratio") in found
    told = " ".join(one.message for one in said if isinstance(one, events.Log))
    assert f"holds its weights in {held} while it answers" in told
    assert f"in {held}, a file in float32" in told
    resolved = tasks.resolved(config, tasks.get("text-classification"), 2)
    predictor = open_role(resolved, 1, "teacher", home, ["bad", "good"], False)
    (teacher,) = predictor.models
    assert teacher.precision == held, "who is asked afterwards is who taught"
    explained = why.explained(predictor, "teacher", "the great thing was fine", 1)
    total = sum(part.value for part in explained.parts)
    assert total == pytest.approx(explained.score - explained.start, abs=0.1 + 0.2 * abs(total))
    whole = opening.in_full(teacher, prepare.Problem("text-classification", ["bad", "good"], None, 16))
    assert found["teacher", "parameters"].value == sum(one.numel() for one in whole.network.parameters())


def test_a_teacher_that_could_not_be_held_so_after_it_has_learned_is_refused_before(job, monkeypatch):
    monkeypatch.setattr(precision, "is_bitsandbytes_available", lambda: True)
    settings = {**TINY, "teacher": "builtin/fasttext-large", "student": "builtin/fasttext-tiny"}
    config = parse_config({"dataset": "reviews", **settings, "teacher_precision": "8bit"})
    with pytest.raises(ModelError, match="has no linear layers, beside its last one, that could be held in 8bit"):
        for event in distill(job.model_copy(update={"config": config})):
            assert not isinstance(event, events.PhaseStarted) or event.phase == "prepare"
