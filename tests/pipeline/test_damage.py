"""What a disk has lost or changed is noticed, made anew or taken from the state before, and told."""

import copy
import shutil

import numpy as np
import pytest
import torch

from studio import files
from studio.config.reading import parse_config
from studio.distill import checkpoints, teacher_outputs
from studio.distill.fit import fit
from studio.distill.spec import BestWeights
from studio.errors import ExportError, ModelError
from studio.events import Log, Progress, result_of
from studio.models import saving
from studio.models.opening import load
from studio.pipeline import distill as trainer
from studio.pipeline.job import Job
from studio.service import export
from tests.conftest import TINY
from tests.distill.test_training import CPU, inputs, model, problem, spec  # noqa: F401  fixtures
from tests.pipeline.test_resume import learned


def emptied(file):
    file.write_bytes(b"")


def cut_off(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def bit_flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    file.write_bytes(content)


DAMAGES = [emptied, cut_off, bit_flipped]


def recorded(model, inputs, folder):  # noqa: F811
    """The answers, and what was said about them."""
    said = []
    steps = teacher_outputs.record(model, inputs, CPU, folder, lambda done: None, "They are on disk.")
    while True:
        try:
            said.append(next(steps))
        except StopIteration as stop:
            return stop.value.values.clone(), [event.message for event in said if isinstance(event, Log)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_teacher_outputs_are_made_anew_and_it_is_said(model, inputs, tmp_path, damage):  # noqa: F811
    folder = tmp_path / "outputs"
    first, said = recorded(model, inputs, folder)
    assert said == []
    damage(folder / "logits.npy")
    again, said = recorded(model, inputs, folder)
    assert torch.equal(again, first)
    assert len(said) == 1
    assert said[0].startswith("The teacher's answers on disk are damaged: logits.npy is")
    assert recorded(model, inputs, folder)[1] == ["They are on disk."]


def test_teacher_outputs_of_another_shape_are_made_anew_also_where_nobody_wrote_checksums(model, inputs, tmp_path):  # noqa: F811
    folder = tmp_path / "outputs"
    first, _ = recorded(model, inputs, folder)
    (folder / files.SUMS).unlink()
    assert recorded(model, inputs, folder)[1] == ["They are on disk."]
    np.save(folder / "logits.npy", first[:-1].numpy())
    again, said = recorded(model, inputs, folder)
    assert torch.equal(again, first)
    assert "in place of" in said[0]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(tmp_path, damage):
    file = tmp_path / "distill.pt"
    for step in (1, 2):
        checkpoints.write(file, {"step": step, "weights": torch.randn(1000)})
    damage(file)
    found = checkpoints.read(file)
    assert found.state["step"] == 1
    assert "distill.pt is damaged" in found.damaged[0]
    assert checkpoints.read(file).damaged == (), "it is told once"
    checkpoints.write(file, {"step": 3})
    checkpoints.write(file, {"step": 4})
    damage(file)
    assert checkpoints.read(file).state["step"] == 3, "what was damaged is not kept as the state before"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), RuntimeError("can't allocate memory: 9")])
def test_a_checkpoint_that_cannot_be_read_for_another_reason_than_damage_stays(tmp_path, monkeypatch, error):
    file = tmp_path / "distill.pt"
    checkpoints.write(file, {"step": 1})
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.torch, "load", lambda *_, **__: (_ for _ in ()).throw(error))
        with pytest.raises(type(error)):
            checkpoints.read(file)
    assert checkpoints.read(file).state == {"step": 1}


def test_a_writer_that_is_killed_between_its_two_moves_leaves_a_state(tmp_path, monkeypatch):
    file = tmp_path / "distill.pt"
    checkpoints.write(file, {"step": 1})
    monkeypatch.setattr(files, "_publish", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write(file, {"step": 2})
    assert checkpoints.read(file).state == {"step": 1}


def test_a_fit_whose_checkpoints_are_all_damaged_ends_as_if_there_had_been_none(model, inputs, tmp_path):  # noqa: F811
    start = copy.deepcopy(model.network.state_dict())
    file = tmp_path / "distill.pt"
    points, weights = learned(spec(model, inputs, steps=10, checkpoint=file))
    shutil.copy(file, tmp_path / "distill.pt.before")
    for kept in (file, tmp_path / "distill.pt.before"):
        bit_flipped(kept)
    model.network.load_state_dict(start)
    said = list(fit(spec(model, inputs, steps=10, checkpoint=file), CPU, BestWeights()))
    assert sum("is damaged" in event.message for event in said if isinstance(event, Log)) == 2
    model.network.load_state_dict(start)
    assert learned(spec(model, inputs, steps=10))[0] == points
    assert all(torch.equal(model.network.state_dict()[name], one) for name, one in weights.items())


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_of_a_run_are_not_opened_and_the_file_is_named(model, problem, home, damage):  # noqa: F811
    folder = saving.save(model, home.model(1, "student")).folder
    result_of(load("run:1/student", problem, home))
    damage(folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"student is damaged: model\.safetensors is .* Restore it"):
        result_of(load("run:1/student", problem, home))


def test_a_teacher_folder_that_changed_since_the_checkpoint_is_refused_with_the_difference(
    model,  # noqa: F811
    store,
    home,
    saved,
    tmp_path,
):
    folder = saving.save(model, tmp_path / "teacher").folder
    config = parse_config({"dataset": "reviews", **TINY, "teacher": f"folder:{folder}", "control": False})
    job = Job(run_id=1, config=config, dataset=home.dataset(saved.id), home=home)

    def until_checkpoint():
        steps = trainer.distill(job)
        for event in steps:
            if isinstance(event, Progress) and event.phase == "distill" and event.step:
                steps.close()  # which saves where it stands

    until_checkpoint()
    assert list(home.checkpoints(1).glob("*.pt"))
    with torch.no_grad():
        model.network.classifier.bias += 1
    saving.save(model, folder)
    with pytest.raises(ModelError, match=r"has changed since this run began: model\.safetensors is another\. Put"):
        until_checkpoint()
    shutil.rmtree(home.checkpoints(1))
    until_checkpoint()


def test_a_damaged_student_is_not_exported(model, store, home, saved, tmp_path):  # noqa: F811
    run = store.submit(parse_config({"dataset": "reviews", **TINY}), key="k")
    saving.save(model, home.model(run.id, "student"))
    bit_flipped(home.model(run.id, "student") / "model.safetensors")
    with pytest.raises(ExportError, match=r"in student, model\.safetensors is not what was written"):
        export.student_zip(home, store, run.id, tmp_path / "student.zip")
    assert not (tmp_path / "student.zip").exists()
