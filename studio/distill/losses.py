"""Distillation losses: tensors in, one scalar out.

What a loss reads it says by the names of its parameters; `studio.distill.objective` brings them:

* `student_logits`, `teacher_logits` (positions, classes), where a position is a row, a word or the like, as the task
  says; `labels` (positions,), `UNLABELLED` for none; `temperature`, a number or one a position (positions, 1).
* `teacher_index`, `teacher_ends`, `teacher_tail`: where of each answer only the likeliest tokens were kept,
  `teacher_logits` (kept,) are their log-probabilities at the temperature of the run, one position after the other;
  `teacher_index` (kept,) says which tokens they are; position p has those from `teacher_ends[p]` to
  `teacher_ends[p + 1]`; `teacher_tail` (positions,) is the log of the others' mass.
* `teacher_spans` (positions,): the span of bytes in which the label of a position lies, -1 in none; `teacher_logits`
  (spans,) are then the teacher's log-likelihoods of each (`studio.distill.byte_spans`).
* `student_features`, `teacher_features`: one pair of layers, (batch, length, width) of a transformer, with `mask`
  (batch, length), 1 where there is a token; (batch, channels, height, width) of convolutions; (batch, width) of others.
  `projected_features`: the student's, mapped to the teacher's width by a learned projector.
* `student_attention`, `teacher_attention` (batch, heads, length, length): rows sum to 1.
* `student_values`, `teacher_values` (batch, heads, length, width of a head).
* `student_embedding`, `teacher_embedding` (batch, width): one vector an example.
"""

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from studio.config.run import UNLABELLED
from studio.tasks.positions import sum_of_rows

Temperature = float | Tensor

AT_ONCE = 2**24
"""Logits that are compared at a time; of more, what a loss computes on the way is computed again on the way back, so
that it does not grow with vocabulary and length (as Liger's fused losses; Hsu et al., 2024)."""


def soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """KL(teacher || student) on softened logits, times T² (Hinton, Vinyals & Dean, 2015).

    Shapes: student_logits and teacher_logits (batch, classes) -> scalar, in nats, mean over the batch.
    T² keeps the gradient's size when the temperature changes.

    >>> logits = torch.tensor([[1.0, 2.0, 3.0]])
    >>> soft_target_loss(logits, logits + 5, temperature=4.0).item()  # equal up to a shift: nothing to learn
    0.0
    """
    log_student = F.log_softmax(student_logits / temperature, dim=-1)
    log_teacher = F.log_softmax(teacher_logits / temperature, dim=-1)
    rows = F.kl_div(log_student, log_teacher, reduction="none", log_target=True) * temperature**2
    return rows.sum(-1).mean()


def multi_label_soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """The soft-target loss where any number of labels can be right: the KL of every label's own yes-or-no distribution,
    sigmoid(logit / T), summed over the labels, times T² (as Yang et al., 2023, in its logit term).

    Shapes: student_logits and teacher_logits (batch, labels) -> scalar, in nats, mean over the batch.
    """
    student, teacher = student_logits / temperature, teacher_logits / temperature
    p = teacher.sigmoid()
    rows = p * (F.logsigmoid(teacher) - F.logsigmoid(student))
    rows = rows + (1 - p) * (F.logsigmoid(-teacher) - F.logsigmoid(-student))
    return (rows * temperature**2).sum(-1).mean()


def reverse_kl_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """KL(student || teacher) on softened logits, times T² (MiniLLM, Gu et al., 2024).

    Shapes: (positions, classes) twice -> scalar, in nats, mean over the positions. It seeks what the teacher takes for
    likely and leaves out what the student cannot do as well; it needs all of the teacher's answer.
    """

    def each(student: Tensor, teacher: Tensor) -> Tensor:
        return _kl(student, teacher)

    return _over_positions(each, student_logits, teacher_logits, temperature)


def jensen_shannon_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """Generalized Jensen-Shannon divergence, β KL(p || m) + (1 − β) KL(q || m) with m = β p + (1 − β) q, times T²
    (GKD, Agarwal et al., 2024, equation 1; β = 0.5). p is the teacher, q the student.

    Shapes: (positions, classes) twice -> scalar, in nats, mean over the positions.
    """

    def each(student: Tensor, teacher: Tensor) -> Tensor:
        mixed = _mixed(teacher, student, JSD_BETA)
        return JSD_BETA * _kl(teacher, mixed) + (1 - JSD_BETA) * _kl(student, mixed)

    return _over_positions(each, student_logits, teacher_logits, temperature)


def skewed_kl_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """KL(p || α p + (1 − α) q), times T² (DistiLLM, Ko et al., 2024, equation 3; α = 0.1): forward KL whose gradient
    stays small where the student gives next to nothing.

    Shapes: (positions, classes) twice -> scalar, in nats, mean over the positions.
    """

    def each(student: Tensor, teacher: Tensor) -> Tensor:
        return _kl(teacher, _mixed(teacher, student, SKEW_ALPHA))

    return _over_positions(each, student_logits, teacher_logits, temperature)


def total_variation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """Half the sum of |p − q|, times T² (f-distillation, Wen et al., 2023). Shapes: (positions, classes) twice ->
    scalar, mean over the positions."""

    def each(student: Tensor, teacher: Tensor) -> Tensor:
        return (teacher.exp() - student.exp()).abs().sum(-1) / 2

    return _over_positions(each, student_logits, teacher_logits, temperature)


JSD_BETA, SKEW_ALPHA = 0.5, 0.1
NEVER = -1e4
"""A log-probability whose exponential is 0: times it, even minus infinity is to be 0."""


def token_soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """The soft-target loss over the tokens of a vocabulary, some positions at a time."""

    def each(student: Tensor, teacher: Tensor) -> Tensor:
        return _kl(teacher, student)

    return _over_positions(each, student_logits, teacher_logits, temperature)


def top_k_soft_target_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    teacher_index: Tensor,
    teacher_ends: Tensor,
    teacher_tail: Tensor,
    temperature: Temperature,
) -> Tensor:
    """The soft-target loss where the likeliest tokens were kept, and all others are one: the KL between two
    distributions over k + 1 outcomes, times T².

    Never above the KL over all tokens, and its gradient at the kept ones is the same; without the last outcome it would
    be no divergence, and teach that the others never come (Anshumann et al., 2025).
    """
    mine = _kept(_softened(student_logits, temperature), teacher_index, teacher_ends)
    rest = (1 - sum_of_rows(mine.exp(), teacher_ends)).clamp(min=1e-6).log()
    kept = sum_of_rows(teacher_logits.exp() * (teacher_logits - mine), teacher_ends)
    return ((kept + teacher_tail.exp() * (teacher_tail - rest)) * _square(temperature)).mean()


def renormalized_top_k_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """The soft-target loss as if the teacher never said anything but its k likeliest classes, their shares made to add
    up to 1. Of logits of all classes those are all: then it is the soft-target loss."""
    return soft_target_loss(student_logits, teacher_logits, temperature)


def top_k_renormalized_top_k_loss(
    student_logits: Tensor, teacher_logits: Tensor, teacher_index: Tensor, teacher_ends: Tensor,
    temperature: Temperature,
) -> Tensor:  # fmt: skip
    """KL(renormalized teacher || student), times T². Shapes as above -> scalar. It sharpens: the student unlearns what
    was not kept."""
    mine = _kept(_softened(student_logits, temperature), teacher_index, teacher_ends)
    whole = sum_of_rows(teacher_logits.exp(), teacher_ends).log()  # all are shares of 1: no sum is too large
    theirs = teacher_logits - whole.repeat_interleave(teacher_ends.diff(), output_size=len(teacher_logits))
    return (sum_of_rows(theirs.exp() * (theirs - mine), teacher_ends) * _square(temperature)).mean()


def byte_spans_loss(
    student_logits: Tensor, teacher_logits: Tensor, teacher_spans: Tensor, labels: Tensor, temperature: Temperature
) -> Tensor:
    """KL(teacher || student) of each span: whether it comes, or anything else, with likelihoods to the power 1 / T,
    times T² (ALM with f = KL, Minixhofer, Vulić & Ponti, 2025).

    Shapes: student_logits (positions, tokens) and labels (positions,); teacher_spans (positions,) the number of the
    span in which each lies, -1 in none; teacher_logits (spans,) the teacher's log-likelihood of each -> scalar, in
    nats, mean over the spans. Where each span is one token of both and T is 1, it is the loss with a tail, of which
    this token alone was kept.
    """
    inside = teacher_spans >= 0
    if not len(teacher_logits):
        return student_logits.sum() * 0
    each = -F.cross_entropy(student_logits[inside], labels[inside], reduction="none")
    mine = torch.zeros_like(teacher_logits).index_add(0, teacher_spans[inside], each) / temperature
    theirs = teacher_logits / temperature
    other = theirs.exp() * (theirs - mine) - theirs.expm1() * (_else(theirs) - _else(mine))
    return (other * _square(temperature)).mean()


def logit_mse_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Mean squared difference of the logits (Ba & Caruana, 2014). Shapes: (batch, classes) twice -> scalar."""
    return F.mse_loss(student_logits, teacher_logits)


def dkd_loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, temperature: Temperature) -> Tensor:
    """Decoupled distillation, TCKD + 8 · NCKD, times T² (Zhao et al., 2022, equation 7; beta as for CIFAR-100).

    TCKD is the KL between the teacher's and the student's (right, any other) class; NCKD the KL among the other
    classes alone. Rows without a label take the teacher's first choice for the right class.
    Shapes: logits (batch, classes), at least 3 classes; labels (batch,) -> scalar.
    """
    right = torch.where(labels == UNLABELLED, teacher_logits.argmax(-1), labels).unsqueeze(-1)
    is_right = torch.zeros_like(student_logits, dtype=torch.bool).scatter(-1, right, True)
    parts = []
    for logits in (student_logits / temperature, teacher_logits / temperature):
        log_all = F.log_softmax(logits, dim=-1)
        others = logits.masked_fill(is_right, float("-inf"))
        log_others = (others.logsumexp(-1) - logits.logsumexp(-1)).unsqueeze(-1)
        binary = torch.cat([log_all.gather(-1, right), log_others], dim=-1)
        parts.append((binary, F.log_softmax(others, dim=-1).masked_fill(is_right, 0.0)))
    (student_binary, student_others), (teacher_binary, teacher_others) = parts
    target = (teacher_binary.exp() * (teacher_binary - student_binary)).sum(-1, keepdim=True)
    probabilities = teacher_others.exp().masked_fill(is_right, 0.0)
    other = (probabilities * (teacher_others - student_others)).sum(-1, keepdim=True)
    return ((target + DKD_BETA * other) * temperature**2).mean()


DKD_BETA = 8.0


def dist_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """1 - Pearson correlation of the softened probabilities, over the classes of a row and over the rows of a class,
    added and times T² (Huang et al., 2022, equations 9 and 10). Shapes: (batch, classes) twice -> scalar.
    """
    student = F.softmax(student_logits / temperature, dim=-1)
    teacher = F.softmax(teacher_logits / temperature, dim=-1)
    square = temperature**2 if isinstance(temperature, float | int) else (temperature**2).mean()
    return (_uncorrelated(student, teacher) + _uncorrelated(student.T, teacher.T)) * square


def standardized_soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
    """The soft-target loss on logits with mean 0 and standard deviation 1 in each row (Sun et al., 2024).

    Shapes: (batch, classes) twice, at least 3 classes -> scalar. A row's scale and shift make no difference.
    """
    return soft_target_loss(_standardized(student_logits), _standardized(teacher_logits), temperature)


def hint_loss(projected_features: Tensor, teacher_features: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of a layer's features (FitNets, Romero et al., 2015, equation 3; mean, not half a sum).

    Shapes: equal; padding does not count -> scalar.
    """
    difference = (projected_features - teacher_features) ** 2
    return _mean_over_tokens(difference.mean(-1) if difference.ndim == 3 else difference, mask)


def hidden_cosine_loss(projected_features: Tensor, teacher_features: Tensor, mask: Tensor) -> Tensor:
    """1 - cosine of hidden states, mean over the tokens (DistilBERT, Sanh et al., 2019). Shapes: equal -> scalar."""
    along = 1 if projected_features.ndim == 4 else -1
    return _mean_over_tokens(1 - F.cosine_similarity(projected_features, teacher_features, dim=along), mask)


def attention_transfer_loss(student_features: Tensor, teacher_features: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference of normalized maps of activity: the mean of squares over the channels or the width of
    every place (Zagoruyko & Komodakis, 2017, section 3.1, p = 2).

    Shapes: (batch, channels, height, width) or (batch, length, width), the number of channels may differ -> scalar.
    """
    return F.mse_loss(_activity(student_features, mask), _activity(teacher_features, mask))


def attention_distribution_loss(student_attention: Tensor, teacher_attention: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher || student) between attention distributions, mean over heads and tokens (MiniLM, Wang et al., 2020).

    Shapes: (batch, heads, length, length), mask (batch, length) -> scalar.
    Where the number of heads differs, the mean over the heads is compared.
    """
    if student_attention.shape[1] != teacher_attention.shape[1]:
        student_attention, teacher_attention = (
            heads.mean(1, keepdim=True) for heads in (student_attention, teacher_attention)
        )
    return _divergence_of_rows(student_attention, teacher_attention, mask)


def value_relation_loss(student_values: Tensor, teacher_values: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher || student) between softmax(V·Vᵀ / √width), mean over heads and tokens (MiniLM, Wang et al., 2020).

    Shapes: (batch, heads, length, width), equal but for the width; mask (batch, length) -> scalar.
    """
    return _divergence_of_rows(_relation(student_values, mask), _relation(teacher_values, mask), mask)


def rkd_distance_loss(student_embedding: Tensor, teacher_embedding: Tensor) -> Tensor:
    """Huber loss between the distances of all pairs, each model's divided by their mean (RKD, Park et al., 2019).

    Shapes: (batch, width), the widths may differ -> scalar. An embedding's scale makes no difference.
    """
    return F.smooth_l1_loss(_distances(student_embedding), _distances(teacher_embedding))


def rkd_angle_loss(student_embedding: Tensor, teacher_embedding: Tensor) -> Tensor:
    """Huber loss between the cosines of the angles that all triplets form (RKD, Park et al., 2019).

    Shapes: (batch, width), the widths may differ -> scalar. Scale, shift and rotation make no difference.
    """
    return F.smooth_l1_loss(_angles(student_embedding), _angles(teacher_embedding))


def similarity_loss(student_embedding: Tensor, teacher_embedding: Tensor) -> Tensor:
    """Squared difference of the similarities A·Aᵀ of a batch, rows of length 1, over batch² (Tung & Mori, 2019).

    Shapes: (batch, width), the widths may differ -> scalar.
    """
    student, teacher = (F.normalize(rows @ rows.T, dim=1) for rows in (student_embedding, teacher_embedding))
    return F.mse_loss(student, teacher)


def _uncorrelated(first: Tensor, second: Tensor) -> Tensor:
    """1 - Pearson correlation of each row, mean over the rows."""
    first, second = (values - values.mean(-1, keepdim=True) for values in (first, second))
    return 1 - F.cosine_similarity(first, second, dim=-1).mean()


def _standardized(logits: Tensor) -> Tensor:
    return (logits - logits.mean(-1, keepdim=True)) / (logits.std(-1, keepdim=True) + 1e-7)


def _mean_over_tokens(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over what is not padding, if `values` (batch, length) has tokens; else over everything."""
    if values.shape != mask.shape:
        return values.mean()
    return (values * mask).sum() / mask.sum().clamp(min=1)


def _activity(features: Tensor, mask: Tensor) -> Tensor:
    """(batch, places), each row of length 1."""
    if features.ndim == 4:
        return F.normalize(features.pow(2).mean(1).flatten(1), dim=1)
    return F.normalize(features.pow(2).mean(-1) * mask, dim=1)


def _relation(values: Tensor, mask: Tensor) -> Tensor:
    """softmax(V·Vᵀ / √width) over the tokens that are there."""
    products = values @ values.transpose(-1, -2) / values.shape[-1] ** 0.5
    return products.masked_fill(mask[:, None, None, :] == 0, float("-inf")).softmax(-1)


def _divergence_of_rows(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """KL(teacher || student) of the last axis of (batch, heads, length, length), mean over heads and real tokens."""
    floor = torch.finfo(student.dtype).tiny
    rows = (teacher * (teacher.clamp(min=floor).log() - student.clamp(min=floor).log())).sum(-1)
    return (rows.mean(1) * mask).sum() / mask.sum().clamp(min=1)


def _distances(embedding: Tensor) -> Tensor:
    """All distances, divided by the mean of those between different examples; 0 on the diagonal."""
    distances = torch.cdist(embedding, embedding, compute_mode="donot_use_mm_for_euclid_dist")
    mean = distances.sum() / (distances > 0).sum().clamp(min=1)
    return distances / mean.clamp(min=torch.finfo(distances.dtype).tiny)


def _angles(embedding: Tensor) -> Tensor:
    """(batch, batch, batch): the cosine at the first example between the second and the third."""
    directions = F.normalize(embedding.unsqueeze(0) - embedding.unsqueeze(1), dim=-1)
    return directions @ directions.transpose(-1, -2)


def _kl(first: Tensor, second: Tensor) -> Tensor:
    """(p,): KL(first || second) of log-probabilities (p, c); what the first never says does not count."""
    return (first.exp() * (first.clamp(min=NEVER) - second)).sum(-1)


def _mixed(first: Tensor, second: Tensor, share: float) -> Tensor:
    """log(share · first + (1 − share) · second) of log-probabilities."""
    return torch.logaddexp(first + math.log(share), second + math.log1p(-share))


def _over_positions(
    each: Callable[[Tensor, Tensor], Tensor], student_logits: Tensor, teacher_logits: Tensor, temperature: Temperature
) -> Tensor:
    """The mean of `each(student, teacher)` (p,) of softened log-probabilities, times T², so many logits at a time."""
    square = _square(temperature)
    if student_logits.numel() <= AT_ONCE:
        return (_of_part(each, student_logits, teacher_logits, temperature) * square).mean()
    rows = max(1, AT_ONCE // student_logits.shape[-1])
    parts = [student_logits.split(rows), teacher_logits.split(rows)]
    temperatures = (
        temperature.split(rows) if isinstance(temperature, Tensor) else itertools.repeat(temperature, len(parts[0]))
    )
    found = [
        checkpoint(_of_part, each, student, teacher, own, use_reentrant=False)
        for student, teacher, own in zip(*parts, temperatures, strict=True)
    ]
    return (torch.cat(found) * square).mean()


def _of_part(
    each: Callable[[Tensor, Tensor], Tensor], student: Tensor, teacher: Tensor, temperature: Temperature
) -> Tensor:
    return each(_softened(student, temperature).log_softmax(-1), _softened(teacher, temperature).log_softmax(-1))


def _softened(logits: Tensor, temperature: Temperature) -> Tensor:
    """Logits over T; where that is 1 they stay as they are, without a copy of a whole vocabulary."""
    return logits if isinstance(temperature, float | int) and temperature == 1 else logits / temperature


def _square(temperature: Temperature) -> Temperature:
    """T², one a position or one for all."""
    return temperature.squeeze(-1) ** 2 if isinstance(temperature, Tensor) else temperature**2


def _else(log_p: Tensor) -> Tensor:
    """log(1 − p) of log-probabilities."""
    return (-torch.expm1(log_p.clamp(max=-1e-6))).log()


def _kept(logits: Tensor, index: Tensor, ends: Tensor) -> Tensor:
    """(kept,): the log-probabilities of these classes. Where there are many logits they are not held once more, which
    takes longer."""
    position = torch.repeat_interleave(ends.diff(), output_size=len(index))
    places = position * logits.shape[-1] + index
    if logits.numel() <= AT_ONCE:
        return logits.log_softmax(-1).flatten().gather(0, places)
    return logits.flatten().gather(0, places) - logits.logsumexp(-1)[position]
