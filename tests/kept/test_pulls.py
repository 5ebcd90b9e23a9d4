"""How hard teacher and label pull: held against gradients that torch computes."""

import pytest
import torch

from studio.distill.losses import soft_target_loss
from studio.kept import pulls


@pytest.mark.parametrize(("temperature", "alpha"), [(1.0, 0.3), (4.0, 0.7)])
def test_the_pulls_are_the_sizes_of_the_gradients(temperature, alpha):
    student, teacher = torch.tensor([[1.0, -0.5, 0.2]], requires_grad=True), torch.tensor([[0.3, 2.0, -1.0]])
    soft = soft_target_loss(student, teacher, temperature)
    hard = torch.nn.functional.cross_entropy(student, torch.tensor([2]))
    gradients = [torch.autograd.grad(loss, student)[0][0] for loss in (alpha * soft, (1 - alpha) * hard)]
    sizes = [float(gradient.norm()) for gradient in gradients]
    found = pulls.of_row(student.detach().numpy()[0], teacher.numpy()[0], 2, temperature, alpha)
    assert found.teacher == pytest.approx(sizes[0] / sum(sizes), abs=1e-3)
    cosine = torch.nn.functional.cosine_similarity(*gradients, dim=0)
    assert found.agreement == pytest.approx(float(cosine), abs=1e-3)
