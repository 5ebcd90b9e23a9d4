"""Changed copies of texts and images."""

import random

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from studio.models import compact
from studio.models.model import Problem
from studio.models.opening import build, open_masked
from studio.models.saving import save
from studio.tasks import augment, encoded_text
from studio.tasks.architectures import FastTextConfig, FastTextForSequenceClassification
from studio.tasks.augment import Changes

TEXTS = [f"the lovely thing number {number} was a great and warm one" for number in range(200)]
PIXELS = torch.randint(0, 256, (200, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_same_seed_gives_the_same_texts_and_another_seed_others():
    changes = Changes(("word_dropout",))
    first = augment.change_texts(TEXTS, changes, 1)
    assert first == augment.change_texts(TEXTS, changes, 1)
    assert first != augment.change_texts(TEXTS, changes, 2)


def test_word_dropout_leaves_out_about_a_tenth_and_never_all():
    changed = augment.change_texts([*TEXTS, "word"], Changes(("word_dropout",)), 1)
    before, after = (sum(len(text.split()) for text in texts) for texts in (TEXTS, changed[:-1]))
    assert 0.86 < after / before < 0.94
    assert changed[-1] == "word"
    assert all(set(new.split()) <= set(old.split()) for new, old in zip(changed, TEXTS, strict=False))


def test_about_half_of_the_texts_are_joined_between_words_and_the_others_stay_as_they_are():
    joined, mixed = augment.join_texts(TEXTS, 1)
    assert 70 < mixed.sum() < 130
    assert all((new == old) or mixed[row] for row, (new, old) in enumerate(zip(joined, TEXTS, strict=True)))
    assert sum(new not in TEXTS for new in joined) > 60
    assert {word for text in joined for word in text.split()} <= {word for text in TEXTS for word in text.split()}
    assert (joined, mixed.tolist()) == ((again := augment.join_texts(TEXTS, 1))[0], again[1].tolist())


def test_texts_without_spaces_are_joined_and_none_is_empty():
    joined, _ = augment.join_texts(["很好的酒店", "房间太小", "", "好"] * 50, 2)
    assert any(new not in ("很好的酒店", "房间太小", "", "好") for new in joined)
    assert all(new or not old for new, old in zip(joined, ["很好的酒店", "房间太小", "", "好"] * 50, strict=True))


@pytest.mark.parametrize("labels", [torch.arange(200) % 3, torch.rand(200), torch.ones(200, 2)])
def test_a_joined_text_has_no_label(labels):
    from types import SimpleNamespace

    from datasets import Dataset

    rows = Dataset.from_dict({"text": TEXTS})
    tokenizer = encoded_text._learn_tokenizer(rows, 32, 300)
    model = SimpleNamespace(processor=tokenizer, network=SimpleNamespace(config=None))
    plain = encoded_text.encode(rows, tokenizer, None, 32, labels)
    changed = encoded_text.changed(rows, plain, model, 32, Changes(("cutmix",)), 1)
    _, mixed = augment.join_texts(TEXTS, 1)
    assert torch.equal(changed.labels[~mixed], labels[~mixed])
    unknown = changed.labels[mixed]
    assert bool((unknown.isnan() if labels.ndim == 1 and labels.is_floating_point() else unknown == -1).all())
    assert torch.equal(plain.labels, labels)


def test_about_a_seventh_of_the_words_is_replaced():
    def shout(texts, places, generator):
        return [[words[place].upper() for place in chosen] for words, chosen in zip(texts, places, strict=True)]

    changed = augment.change_texts(TEXTS, Changes(("word_replacement",), neighbours=shout), 1)
    words = [word for text in changed for word in text.split() if word.isalpha()]
    assert 0.12 < sum(word.isupper() for word in words) / len(words) < 0.18


@pytest.fixture(scope="module")
def bert() -> tuple[BertForMaskedLM, object]:
    """A masked language model with random weights that puts `great` before everything else."""
    from datasets import Dataset

    rows = Dataset.from_dict({"text": TEXTS})
    tokenizer = encoded_text._learn_tokenizer(rows, 32, 300)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    network = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **sizes)).eval()
    with torch.no_grad():
        network.cls.predictions.bias[tokenizer.convert_tokens_to_ids("Ġgreat")] = 1e4
    return network, tokenizer


def test_masked_words_are_what_the_language_model_fills_in(bert, monkeypatch):
    monkeypatch.setattr(augment, "NEIGHBOURS", 1)
    changed = augment.change_texts(TEXTS[:20], Changes(("masked_word",), masked=augment.masked(*bert)), 1)
    different = [
        new
        for text, other in zip(TEXTS, changed, strict=False)
        for old, new in zip(text.split(), other.split(), strict=True)
        if old != new
    ]
    assert len(different) > 10
    assert set(different) == {"great"}


def test_replaced_words_are_the_nearest_in_the_teachers_embeddings(bert, monkeypatch):
    network, tokenizer = bert
    monkeypatch.setattr(augment, "NEIGHBOURS", 1)
    great, warm = (tokenizer.convert_tokens_to_ids(f"Ġ{word}") for word in ("great", "warm"))
    with torch.no_grad():
        network.get_input_embeddings().weight[warm] = network.get_input_embeddings().weight[great]
    replace = augment.neighbours(network, tokenizer)
    assert replace([["great", "unheard-of"]], [[0, 1]], random.Random(0)) == [["warm", "unheard-of"]]


@pytest.mark.parametrize("is_thin", [False, True], ids=["whole", "a product of two"])
def test_a_bag_of_word_pieces_tells_which_words_are_similar_also_where_it_was_made_thin(bert, monkeypatch, is_thin):
    tokenizer = bert[1]
    network = FastTextForSequenceClassification(FastTextConfig(vocab_size=len(tokenizer)))
    words = compact.split(network, "embeddings", 2)[0] if is_thin else network.embeddings
    great, warm = (tokenizer.convert_tokens_to_ids(f"Ġ{word}") for word in ("great", "warm"))
    with torch.no_grad():
        torch.nn.init.normal_(words.weight, generator=torch.Generator().manual_seed(0))
        words.weight[warm] = words.weight[great]
    monkeypatch.setattr(augment, "NEIGHBOURS", 1)
    replace = augment.neighbours(network, tokenizer)
    assert replace([["great", "unheard-of"]], [[0, 1]], random.Random(0)) == [["warm", "unheard-of"]]


def test_a_shift_moves_an_image_by_at_most_two_pixels_of_28():
    dot = torch.zeros(500, 1, 28, 28, dtype=torch.uint8)
    dot[:, :, 14, 14] = 255
    changed, mixed = augment.change_images(dot, Changes(("crop",)), 1)
    places = changed.view(500, -1).argmax(1)
    assert set((places // 28).tolist()) == set((places % 28).tolist()) == {12, 13, 14, 15, 16}
    assert not mixed.any()
    assert (changed.view(500, -1).amax(1) == 255).all()


def test_a_flip_mirrors_about_half_of_the_images():
    changed, _ = augment.change_images(PIXELS, Changes(("flip",)), 1)
    flipped = (changed == PIXELS.flip(-1)).flatten(1).all(1)
    same = (changed == PIXELS).flatten(1).all(1)
    assert (flipped | same).all()
    assert 60 < flipped.sum() < 140


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_changes_grey_and_coloured_images_and_keeps_them_images(channels):
    pixels = PIXELS.expand(-1, channels, -1, -1).contiguous()
    changed, _ = augment.change_images(pixels, Changes(("jitter",)), 1)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.uint8
    assert (changed != pixels).any()


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_about_half_of_the_images_are_mixed_and_the_others_stay_as_they_are(name):
    changed, mixed = augment.change_images(PIXELS, Changes((name,)), 1)
    assert 70 < mixed.sum() < 130
    assert torch.equal(changed[~mixed], PIXELS[~mixed])
    assert (changed[mixed] != PIXELS[mixed]).any()


def test_two_ways_of_mixing_share_the_images_that_are_mixed():
    _, mixed = augment.change_images(PIXELS, Changes(("mixup", "cutmix")), 1)
    assert 65 < mixed.sum() < 110  # 1 - (3/4)² of 200; with half of them each way it would be 150


def test_the_same_seed_gives_the_same_images_and_leaves_other_random_numbers_alone():
    changes = Changes(("crop", "flip", "mixup"))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, _ = augment.change_images(PIXELS, changes, 1)
    assert torch.equal(torch.rand(1), expected)
    second, _ = augment.change_images(PIXELS, changes, 1)
    assert torch.equal(first, second)
    assert not torch.equal(first, augment.change_images(PIXELS, changes, 2)[0])


def test_a_control_gets_no_mixed_images():
    assert Changes(("flip", "mixup", "cutmix")).without_mixing().names == ("flip",)


def test_a_model_that_cannot_fill_in_words_is_refused(home, saved, tmp_path):
    from studio.data.folder import load
    from studio.errors import ModelError

    rows = load(home.dataset(saved.id)).dict["train"]
    save(build("transformer-tiny", Problem("text-classification", ["bad", "good"], rows, 16)), tmp_path / "m")
    with pytest.raises(ModelError, match="not trained to fill in"):
        open_masked(tmp_path / "m")
