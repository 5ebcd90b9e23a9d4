"""Models of different tokens, compared over spans of bytes that both cut alike."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from studio import tasks
from studio.config.reading import parse_config
from studio.distill import byte_spans, losses
from studio.distill.byte_spans import NONE, Likelihoods
from studio.errors import ConfigError, ModelError
from studio.models.model import Model
from studio.tasks import encoded_tokens

TASK = tasks.get("language-model")
TEXTS = ["The café was old. The café was warm.", "A naïve sea, 我们 saw it."]
LENGTH = 64


def byte_level(merges=0, begins=True):
    """Bytes, or pieces of words; `begins`: with a sign before a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=256 + 2 + merges, special_tokens=["<s>", "</s>"], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))  # fmt: skip
    tokenizer.train_from_iterator(TEXTS, trainer)
    signs = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"} if begins else {"pad_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **signs)


def with_blanks():
    """As SentencePiece does: a blank before a text, letters that it does not know as bytes."""
    letters = sorted({letter for text in TEXTS for letter in text if letter.isascii()} - {" "})
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256)), "▁", *letters, "▁T", "he"]
    tokenizer = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)},
                                     [("▁", "T"), ("h", "e")], unk_token="<unk>", byte_fallback=True))  # fmt: skip
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def read(tokenizer, length=LENGTH, texts=TEXTS):
    return encoded_tokens.encode(TASK.unlabelled(texts), tokenizer, SimpleNamespace(), length)


def pieces(inputs, tokenizer, spans):
    """The bytes of each span, of its tokens in their order."""
    table, found = byte_spans.token_bytes(tokenizer), {}
    for token, span in zip(inputs.labels.tolist(), spans.tolist(), strict=True):
        if span != NONE:
            found[span] = found.get(span, b"") + table[token]
    return [found[span] for span in sorted(found)]


def aligned(theirs, mine, length=LENGTH):
    teacher, student = read(theirs), read(mine, length)
    spans = byte_spans.aligned(teacher, student, theirs, mine)
    return teacher, student, *spans


def test_of_equal_tokenizers_each_token_is_a_span_and_the_loss_is_that_of_the_label_with_a_tail():
    tokenizer = byte_level(30)
    inputs, _, theirs, mine, count = aligned(tokenizer, tokenizer)
    assert theirs.tolist() == mine.tolist() == list(range(count))
    assert count == len(inputs.labels)
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(count, 300, generator=generator, requires_grad=asks) for asks in (True, False))
    log_p = teacher.log_softmax(-1).gather(1, inputs.labels.unsqueeze(1)).squeeze(1)
    tail = (-log_p.exp()).log1p()
    wanted = losses.top_k_soft_target_loss(student, log_p, inputs.labels, torch.arange(count + 1), tail, 1.0)
    found = losses.byte_spans_loss(student, log_p, mine, inputs.labels, 1.0)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(one, student)[0] for one in (found, wanted)))


@pytest.mark.parametrize("others", [lambda: byte_level(30), with_blanks, lambda: byte_level(30, begins=False)])
def test_merged_tokens_a_blank_before_a_text_and_a_sign_on_one_side_leave_both_with_the_same_bytes(others):
    for theirs, mine in itertools.permutations([byte_level(), others()]):
        teacher, student, first, second, count = aligned(theirs, mine)
        assert count > 20
        alike = pieces(teacher, theirs, first), pieces(student, mine, second)
        assert [one.strip() for one in alike[0]] == [one.strip() for one in alike[1]]
        assert (second != NONE).float().mean() > 0.9


def test_what_one_side_does_not_tell_for_want_of_a_sign_is_in_no_span():
    theirs, mine = byte_level(begins=False), byte_level()
    _, student, _, spans, _ = aligned(theirs, mine)
    first = student.offsets[:-1]
    assert (spans[first] == NONE).all(), "nobody tells the teacher's first byte"
    assert (spans[first + 1] != NONE).all()
    assert (spans[student.offsets[1:] - 1] == NONE).all(), "the student alone has a sign that ends a text"


def test_the_signs_that_end_a_text_are_one_span_whatever_they_are_called():
    _, _, first, second, count = aligned(with_blanks(), byte_level())
    assert {first[-1].item(), second[-1].item()} == {count - 1}
    assert (first == count - 1).sum() == (second == count - 1).sum() == 1


def test_half_a_letter_is_no_common_cut_where_the_other_has_it_whole():
    _, student, first, second, _ = aligned(byte_level(), byte_level(30))
    found = pieces(student, byte_level(30), second)
    assert b"caf\xc3\xa9" in b"".join(found)
    sizes = torch.bincount(second[second != NONE])
    assert sizes.max() == 1, "pieces of bytes: each token of the student is one span of several bytes"
    assert torch.bincount(first[first != NONE]).max() > 1


def test_a_span_that_a_block_of_the_student_cuts_through_is_none():
    theirs, mine = byte_level(30), byte_level()
    whole, parts = aligned(theirs, mine), aligned(theirs, mine, length=8)
    assert parts[4] < whole[4]
    block = torch.repeat_interleave(torch.arange(len(parts[1])), parts[1].offsets.diff())
    for span in range(parts[4]):
        assert len(set(block[parts[3] == span].tolist())) == 1


def test_the_likelihood_of_a_span_is_the_product_of_its_tokens_and_rows_are_numbered_for_themselves():
    theirs, mine = byte_level(), byte_level(30)
    teacher, student, first, second, count = aligned(theirs, mine)
    log_p = -torch.rand(len(first), generator=torch.Generator().manual_seed(1))
    said = byte_spans.answers(Likelihoods(log_p, Model(None, theirs)), teacher, student, Model(None, mine))
    for span in (0, 5, count - 1):
        assert said.log_p[span].item() == pytest.approx(float(log_p[first == span].sum()), abs=1e-5)
    of_second = said.of(torch.tensor([1]))
    here = second[student.offsets[1] : student.offsets[2]]
    assert torch.equal(of_second.log_p, said.log_p[here[here != NONE].unique()])
    assert of_second.span[here != NONE].min() == 0
    assert torch.equal(of_second.span == NONE, here == NONE)
    assert said.share == pytest.approx(float((second != NONE).float().mean()))


def test_the_loss_is_its_definition_over_spans_of_several_tokens():
    logits, labels = torch.randn(5, 7, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 3, 6, 2, 1])
    spans, teacher = torch.tensor([0, 0, NONE, 1, 1]), torch.tensor([-0.7, -2.0])
    each = logits.log_softmax(-1)[torch.arange(5), labels]
    mine = torch.stack([each[0] + each[1], each[3] + each[4]])
    p, q = (values.double().div(3.0).exp() for values in (teacher, mine))
    wanted = 9 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    assert losses.byte_spans_loss(logits, teacher, spans, labels, 3.0).item() == pytest.approx(float(wanted), rel=1e-5)
    none = losses.byte_spans_loss(logits, teacher[:0], torch.full((5,), NONE), labels, 1.0)
    assert none.item() == 0


def test_texts_that_are_not_the_same_are_compared_as_far_as_they_are():
    tokenizer = byte_level()
    teacher, student = read(tokenizer), read(tokenizer, texts=["The cat was old.", TEXTS[1]])
    first, _, _ = byte_spans.aligned(teacher, student, tokenizer, tokenizer)
    assert (first[: teacher.offsets[1]] != NONE).sum() == len("The ca")
    assert (first[teacher.offsets[1] :] != NONE).all()


def test_a_tokenizer_that_does_not_tell_bytes_is_refused_and_so_are_settings_that_need_whole_answers():
    plain = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "<u>": 1}, unk_token="<u>")))
    with pytest.raises(ModelError, match="which bytes its tokens stand for"):
        byte_spans.token_bytes(plain)
    names = {"dataset": "d", "teacher": "folder:/a", "student": "folder:/b", "task": "language-model"}
    for changed, other in (
        ({"own_texts": 0.5}, "own_texts"), ({"hard_epochs": 1}, "hard_epochs"), ({"auto": True}, "auto"),
        ({"temperature_per_sample": True}, "temperature_per_sample"), ({"kept_answers": 8}, "kept_answers"),
        ({"terms": "byte_spans, soft_target"}, "soft_target"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=f"does not go together with {other}"):
            tasks.resolved(parse_config({**names, "terms": "byte_spans", **changed}), TASK, 0)
