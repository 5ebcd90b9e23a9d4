"""A trial of a search: measured on validation rows, with the answers that the first one's teacher gave."""

from studio.data.folder import load
from studio.events import Evaluation, Log, PhaseStarted, Verdict
from studio.pipeline.distill import distill
from studio.pipeline.final_evaluation import FinalEvaluation
from studio.service.sweeps import TRIAL


def trial(job, run_id, **values):
    config = job.config.model_copy(update={**TRIAL, "epochs": 1, "teacher_epochs": 1, **values})
    return list(distill(job.model_copy(update={"run_id": run_id, "config": config})))


def test_a_trial_reads_no_test_row_and_the_second_one_makes_no_teacher_pass(job, monkeypatch):
    read: set[str] = set()
    encode = FinalEvaluation.encode

    def heard(self, model, rows):
        read.update(rows["text"])
        return encode(self, model, rows)

    monkeypatch.setattr(FinalEvaluation, "encode", heard)
    first = trial(job, 1)
    rows = load(job.dataset).dict
    assert read == set(rows["validation"]["text"])
    assert not read & set(rows["test"]["text"])
    measured = {(one.role, one.metric, one.split) for one in first if isinstance(one, Evaluation)}
    assert {
        ("student", "accuracy", "validation"),
        ("student", "size_bytes", ""),
        ("student", "latency_ms", ""),
    } <= measured
    assert not [one for one in measured if one[2] == "test"]
    (verdict,) = (event for event in first if isinstance(event, Verdict))
    assert "test rows were not read" in verdict.sentence

    second = trial(job, 2, teacher="run:1/teacher", temperature=2.0)
    assert "teach" not in [event.phase for event in second if isinstance(event, PhaseStarted)]
    assert [event for event in second if isinstance(event, Log) and "are on disk already" in event.message]
