"""Our losses beside independent implementations on the same tensors; `make compare` fetches those."""

import importlib
import importlib.util
import sys
import types

import pytest
import torch
import torch.nn.functional as F

from studio.distill import losses
from studio.distill.losses import (
    attention_distribution_loss,
    attention_transfer_loss,
    dist_loss,
    hidden_cosine_loss,
    hint_loss,
    logit_mse_loss,
    similarity_loss,
    soft_target_loss,
    standardized_soft_target_loss,
)
from studio.tasks.labels import label_loss

WHY = "a comparison for developers: make compare"
generator = torch.Generator().manual_seed(0)
STUDENT, TEACHER = (scale * torch.randn(8, 10, generator=generator) for scale in (1, 3))
MAPS = tuple(torch.randn(8, channels, 5, 5, generator=generator) for channels in (4, 12))
EMBEDDINGS = tuple(torch.randn(8, width, generator=generator) for width in (6, 16))
TOKENS = tuple(torch.randn(8, 7, 12, generator=generator) for _ in range(2))
MASK = (torch.arange(7) < torch.tensor([7, 3, 5, 7, 1, 2, 6, 4]).unsqueeze(1)).long()


@pytest.fixture
def torchdistill():
    return pytest.importorskip("torchdistill.losses.mid_level", reason=WHY)


@pytest.fixture
def textbrewer(monkeypatch):
    """Its losses alone: the package itself opens tensorboard and more."""
    found = importlib.util.find_spec("textbrewer")
    if found is None or found.submodule_search_locations is None:
        pytest.skip(WHY)
    package = types.ModuleType("textbrewer")
    package.__path__ = list(found.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "textbrewer", package)
    return importlib.import_module("textbrewer.losses")


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.item() == pytest.approx(float(theirs), rel=1e-5, abs=1e-5)


def outputs(*tensors: torch.Tensor) -> list[dict]:
    """What torchdistill reads: the outputs of a module named `here`."""
    return [{"here": {"output": tensor, "input": tensor}} for tensor in tensors]


PLACES = {
    "student_module_path": "here",
    "teacher_module_path": "here",
    "student_module_io": "output",
    "teacher_module_io": "output",
}


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_soft_targets_agree_with_torchdistill(torchdistill, temperature):
    theirs = torchdistill.KDLoss(**PLACES, temperature=temperature, alpha=0)(*outputs(STUDENT, TEACHER))
    same(soft_target_loss(STUDENT, TEACHER, temperature), theirs * temperature**2)


def test_the_whole_objective_agrees_with_torchdistill_whose_alpha_weighs_the_labels(torchdistill):
    labels = torch.arange(8)
    theirs = torchdistill.KDLoss(**PLACES, temperature=4.0, alpha=0.3)(*outputs(STUDENT, TEACHER), labels)
    ours = 0.7 * soft_target_loss(STUDENT, TEACHER, 4.0) + 0.3 * label_loss(STUDENT, labels)
    same(ours, theirs)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_targets_agree_with_textbrewer_but_for_the_teachers_entropy(textbrewer, temperature):
    p = F.softmax(TEACHER / temperature, -1)
    entropy = -(p * p.log()).sum(-1).mean()
    theirs = textbrewer.kd_ce_loss(STUDENT, TEACHER, temperature) - entropy
    same(soft_target_loss(STUDENT, TEACHER, temperature), theirs * temperature**2)


def test_squared_logits_agree_with_textbrewer(textbrewer):
    same(logit_mse_loss(STUDENT, TEACHER), textbrewer.kd_mse_loss(STUDENT, TEACHER, 1))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dist_agrees_with_torchdistill(torchdistill, temperature):
    theirs = torchdistill.DISTLoss(**PLACES, tau=temperature)(*outputs(STUDENT, TEACHER))
    same(dist_loss(STUDENT, TEACHER, temperature), theirs)


def test_standardized_soft_targets_agree_with_torchdistill(torchdistill):
    theirs = torchdistill.LogitStdKDLoss(**PLACES, temperature=2.0, alpha=0)(*outputs(STUDENT, TEACHER))
    same(standardized_soft_target_loss(STUDENT, TEACHER, 2.0), theirs * 4)


def test_attention_transfer_agrees_with_torchdistill(torchdistill):
    pair = {"here": {"student": {"io": "output", "path": "here"}, "teacher": {"io": "output", "path": "here"}}}
    theirs = torchdistill.ATLoss(pair)(*outputs(*MAPS))
    same(attention_transfer_loss(*MAPS, torch.ones(8, 1)), theirs)


@pytest.mark.parametrize(("factors", "name"), [((1.0, 0.0), "rkd_distance"), ((0.0, 1.0), "rkd_angle")])
def test_relations_agree_with_torchdistill(torchdistill, factors, name):
    theirs = torchdistill.RKDLoss("here", "here", *factors, reduction="mean")(*outputs(*EMBEDDINGS))
    same(getattr(losses, f"{name}_loss")(*EMBEDDINGS), theirs)


def test_similarities_agree_with_torchdistill_once_its_rows_have_length_1_as_in_the_paper(torchdistill, monkeypatch):
    """It calls `normalize(z, 1)`, which divides by the sum of magnitudes; Tung & Mori (2019) divide by the L2 norm."""
    monkeypatch.setattr(torchdistill, "normalize", lambda rows, _: F.normalize(rows, p=2, dim=1))
    theirs = torchdistill.SPKDLoss("here", "here", reduction="batchmean")(*outputs(*EMBEDDINGS))
    same(similarity_loss(*EMBEDDINGS), theirs)


def test_hints_agree_with_textbrewer(textbrewer):
    same(hint_loss(*TOKENS, MASK), textbrewer.hid_mse_loss(*TOKENS, MASK))


def test_the_cosine_of_hidden_states_agrees_with_textbrewer(textbrewer):
    same(hidden_cosine_loss(*TOKENS, MASK), textbrewer.cos_loss(*TOKENS, MASK))


def test_attention_distributions_agree_with_textbrewer_but_for_the_teachers_entropy(textbrewer):
    """Theirs is a cross-entropy; it must be given a mask, since without one it leaves out all scores below 0."""
    scores = [torch.randn(8, 4, 7, 7, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    student, teacher = (values.softmax(-1) for values in scores)
    entropy = -(teacher * teacher.log()).sum(-1).mean()
    theirs = textbrewer.att_ce_loss(scores[0], scores[1], torch.ones(8, 7)) - entropy
    same(attention_distribution_loss(student, teacher, torch.ones(8, 7)), theirs)
