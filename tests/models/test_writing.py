"""Tokens are drawn one after the other, whatever a model's folder says of how it writes."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from studio.models.writing import write

START = torch.tensor([[5, 6, 7], [8, 9, 4]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("models") / "model"
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=50, max_position_embeddings=32, **sizes)).save_pretrained(place)
    return place


def opened(folder, **settings):
    file = folder / "generation_config.json"
    file.write_text(json.dumps(settings))
    return AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_beams": 4},
        {"return_dict_in_generate": True},
        {"max_time": 0.0},
        {"dola_layers": "high"},
        {"constraints": [1]},
        {"force_words_ids": [[3]]},
        {"prompt_lookup_num_tokens": 3},
        {"stop_strings": ["a"]},
    ],
)
def test_the_settings_of_a_folder_change_neither_what_is_drawn_nor_how_much_that_takes(folder, settings):
    plain = write(opened(folder), START, 6, seed=1)
    assert torch.equal(write(opened(folder, **settings), START, 6, seed=1), plain)
