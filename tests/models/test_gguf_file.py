"""A language model as a GGUF file: what is read from it again is the model, tokenizer and all."""

import copy

import gguf
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from studio import tasks
from studio.errors import ExportError
from studio.models import gguf_file
from studio.models.model import Model, Problem
from studio.models.opening import build, open_folder

TASK = tasks.get("language-model")
ROWS = TASK.unlabelled(["Once upon a time there was a cat.", ("2+2=", "It is 4.")])


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)  # under some seeds two answers are so near that 16 bits choose the other one
    model = build("gpt-tiny", Problem(TASK.name, [], ROWS, 24))
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.mul_(3)  # answers that differ from token to token
    return model


def written(model, folder, precision="f16"):
    gguf_file.write(model, folder / f"{precision}.gguf", precision, "student")
    return folder / f"{precision}.gguf"


def inputs_of(model):
    return TASK.encode(ROWS, model.processor, model.network.config, 24)


def kinds(tiny):
    common = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}  # fmt: skip
    turned = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 32}  # fmt: skip
    torch.manual_seed(0)
    return [
        LlamaForCausalLM(LlamaConfig(**common, tie_word_embeddings=False)),
        LlamaForCausalLM(LlamaConfig(**common, rope_parameters=turned)),
        Qwen2ForCausalLM(Qwen2Config(**common)),
    ]


def test_the_file_answers_as_the_model_and_a_smaller_one_nearly_so(tiny, tmp_path):
    same, largest = gguf_file.compare(tiny, written(tiny, tmp_path), inputs_of(tiny), TASK)
    assert same == 1
    assert largest < 0.02
    _, coarser = gguf_file.compare(tiny, written(tiny, tmp_path, "q8_0"), inputs_of(tiny), TASK)
    assert largest < coarser < 0.5
    assert (tmp_path / "q8_0.gguf").stat().st_size < (tmp_path / "f16.gguf").stat().st_size


def test_every_weight_of_every_known_kind_is_there_again(tiny, tmp_path):
    for number, network in enumerate(kinds(tiny)):
        folder = tmp_path / str(number)
        folder.mkdir()
        again = gguf_file.opened(written(Model(network, tiny.processor), folder), network)
        for name, weight in network.state_dict().items():
            torch.testing.assert_close(again.state_dict()[name], weight, atol=2e-3, rtol=2e-3)


def test_queries_and_keys_lie_in_pairs_of_neighbours(tiny, tmp_path):
    """As llama.cpp turns them: row 1 of a head is what transformers keeps in the middle of it."""
    network = kinds(tiny)[0]  # 64 wide, 4 heads that ask, 2 that are asked
    there = {one.name: one for one in gguf.GGUFReader(written(Model(network, tiny.processor), tmp_path)).tensors}
    for name, known in (("q_proj", "attn_q"), ("k_proj", "attn_k")):
        weight = network.model.layers[0].self_attn.get_submodule(name).weight
        found = torch.tensor(there[f"blk.0.{known}.weight"].data.copy()).float()
        torch.testing.assert_close(found[1], weight[8], atol=2e-3, rtol=2e-3)


def test_frequencies_of_positions_that_were_stretched_are_told(tiny, tmp_path):
    stretched = kinds(tiny)[1]
    there = {one.name: one for one in gguf.GGUFReader(written(Model(stretched, tiny.processor), tmp_path)).tensors}
    factors = torch.tensor(there["rope_freqs.weight"].data.copy())
    assert factors[0] == pytest.approx(1)
    assert factors[-1] == pytest.approx(8, rel=1e-3)


def test_the_tokenizer_is_there_and_a_vocabulary_that_was_filled_up_is_too(tiny, tmp_path):
    padded = copy.deepcopy(tiny.network)
    padded.resize_token_embeddings(len(tiny.processor) + 6)
    fields = gguf.GGUFReader(written(Model(padded, tiny.processor), tmp_path)).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    assert tokens[: len(tiny.processor)] == tiny.processor.convert_ids_to_tokens(range(len(tiny.processor)))
    assert len(tokens) == padded.config.vocab_size
    assert fields["tokenizer.ggml.eos_token_id"].contents() == tiny.processor.eos_token_id
    assert fields["tokenizer.ggml.pre"].contents() == "gpt-2"


def test_the_sizes_of_a_model_are_told(tiny, tmp_path):
    fields = gguf.GGUFReader(written(Model(kinds(tiny)[0], tiny.processor), tmp_path)).fields
    told = {"attention.head_count": 4, "attention.head_count_kv": 2, "attention.key_length": 16, "block_count": 2,
            "rope.dimension_count": 16, "embedding_length": 64, "feed_forward_length": 96, "context_length": 64,
            "vocab_size": 300}  # fmt: skip
    assert {name: fields[f"llama.{name}"].contents() for name in told} == told


def test_the_sign_before_a_text_is_added_as_it_was_learned_and_a_template_writes_its_own(tiny, tmp_path):
    processor, found = copy.deepcopy(tiny.processor), {}
    for name in ("own", "template", "none"):
        processor.chat_template = "{{ bos_token }}" if name == "template" else None
        processor.bos_token = None if name == "none" else tiny.processor.bos_token
        (tmp_path / name).mkdir()
        fields = gguf.GGUFReader(written(Model(tiny.network, processor), tmp_path / name)).fields
        found[name] = [fields[f"tokenizer.ggml.{one}"].contents() for one in ("add_bos_token", "bos_token_id")]
    begins, ends = tiny.processor.bos_token_id, tiny.processor.eos_token_id
    assert found == {"own": [True, begins], "template": [False, begins], "none": [True, ends]}


def test_a_kind_that_is_not_known_is_refused_by_name(tiny, tmp_path):
    network = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=8, n_layer=1, n_head=1))
    with pytest.raises(ExportError, match="A gpt2 cannot be written as GGUF"):
        written(Model(network, tiny.processor), tmp_path)


def test_a_real_llama_with_pieces_of_words_is_read_again(real_data, tmp_path):
    model = open_folder(real_data / "models" / "stories260k", Problem(TASK.name, [], ROWS, 24))
    file = written(model, tmp_path)
    same, largest = gguf_file.compare(model, file, inputs_of(model), TASK)
    assert same == 1
    assert largest < 0.05
    fields = gguf.GGUFReader(file).fields
    assert fields["tokenizer.ggml.model"].contents() == "llama"
    scores = fields["tokenizer.ggml.scores"].contents()
    tokens = fields["tokenizer.ggml.tokens"].contents()
    assert scores[tokens.index("▁t")] == 0  # what is put together first
    assert scores[tokens.index("he")] == -1
