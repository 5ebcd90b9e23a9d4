"""A language model as a GGUF file, which llama.cpp, Ollama and LM Studio open; opened again here, and compared.

The names of the tensors are those of the `gguf` package. Llamas turn their queries and keys in pairs of neighbours
there, where transformers turns halves: their rows change places (llama.cpp, convert_hf_to_gguf.py).
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, quants
from torch import Tensor

from studio.errors import ExportError
from studio.models.compact import Compact
from studio.models.model import Model
from studio.tasks import Encoded, Task

Precision = Literal["f16", "q8_0"]

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
"""What transformers and GGUF call the models that can be written."""

TYPES = {"f16": GGMLQuantizationType.F16, "q8_0": GGMLQuantizationType.Q8_0}
FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
BLOCK = 32
"""So many weights share a scale in Q8_0; a matrix whose rows are no multiple of it stays in float16."""

_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {
    rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|{_WORDS}\p{{N}}{{1,3}}{_REST}": "llama-bpe",
    rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|{_WORDS}\p{{N}}{_REST}": "qwen2",
}
"""How texts are cut into words before they are cut into tokens, and what llama.cpp calls that."""


def write(model: Model, file: Path, precision: Precision, name: str) -> None:
    """Weights, sizes and tokenizer in one file. Raises `ExportError` where GGUF has no words for the model."""
    network = model.network
    architecture, config = _architecture(network), network.config
    writer = gguf.GGUFWriter(file, gguf.MODEL_ARCH_NAMES[architecture])
    try:
        writer.add_name(name)
        writer.add_file_type(FILE_TYPES[precision])
        _add_sizes(writer, config)
        _add_tokenizer(writer, model.processor, config.vocab_size)
        for known, weight in _tensors(network, architecture):
            values, kind = _packed(weight, precision)
            writer.add_tensor(known, values, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def opened(file: Path, network: Any) -> Any:
    """A copy of `network` with the weights that the file holds, in float32. Raises `ExportError` where it does not hold
    them all."""
    there = {str(tensor.name): tensor for tensor in gguf.GGUFReader(file).tensors}
    found, names = copy.deepcopy(network), _names(network, _architecture(network))
    state = {}
    for name, weight in network.state_dict().items():
        known = names.get(name)
        if known is None:
            continue
        if known not in there:
            raise ExportError(f"{file.name} does not hold {known}.", "Take the Hugging Face folder.")
        tensor = there[known]
        values = torch.from_numpy(quants.dequantize(np.array(tensor.data), tensor.tensor_type))
        values = values.reshape(weight.shape).float()
        state[name] = _in_halves(values, _heads(network.config, name))
    found.load_state_dict(state, strict=False)
    found.tie_weights()
    return found.eval()


def compare(model: Model, file: Path, inputs: Encoded, task: Task) -> tuple[float, float]:
    """(share of positions with the same first choice, largest difference of a logit) of the file beside the model."""
    network, again = model.network.cpu().eval(), opened(file, model.network.cpu())
    same, largest, positions = 0.0, 0.0, 0
    for rows in torch.arange(len(inputs)).split(8):
        batch = inputs.batch(rows)
        with torch.inference_mode():
            expected, found = (inputs.positions(module(**batch).logits, rows).logits for module in (network, again))
        same += float(task.agree(found, expected).float().sum())
        largest, positions = max(largest, float((found - expected).abs().max())), positions + len(found)
    return same / max(1, positions), largest


def _architecture(network: Any) -> Any:
    """What GGUF calls this kind. Raises `ExportError` where it is not known, or where it has what GGUF cannot say."""
    config = network.config
    found = ARCHITECTURES.get(config.model_type)
    if found is None:
        known = ", ".join(ARCHITECTURES)
        raise ExportError(f"A {config.model_type} cannot be written as GGUF; {known} can.", "Take the folder.")
    if Compact.of(config) is not None:
        raise ExportError("A model whose layers differ in width cannot be written as GGUF.", "Take the folder.")
    window = getattr(config, "sliding_window", None)
    if window is not None and getattr(config, "use_sliding_window", True) and window < config.max_position_embeddings:
        raise ExportError("A model that reads through a sliding window cannot be written as GGUF.", "Take the folder.")
    return found


def _add_sizes(writer: gguf.GGUFWriter, config: Any) -> None:
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(config.vocab_size)


# --- weights


def _names(network: Any, architecture: Any) -> dict[str, str]:
    """What GGUF calls each tensor; a table of tokens that is shared stands there once."""
    table = gguf.get_tensor_name_map(architecture, network.config.num_hidden_layers)
    found = {}
    for name in network.state_dict():
        if name == "lm_head.weight" and network.config.tie_word_embeddings:
            continue
        known = table.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is None:
            raise ExportError(f"GGUF has no name for {name}.", "Take the Hugging Face folder.")
        found[name] = known
    return found


def _tensors(network: Any, architecture: Any) -> Iterator[tuple[str, np.ndarray]]:
    names, state = _names(network, architecture), network.state_dict()
    for name, known in names.items():
        weight = state[name].detach().float().cpu()
        yield known, _in_pairs(weight, _heads(network.config, name)).contiguous().numpy()
    stretched = _stretched(network)
    if stretched is not None:
        yield "rope_freqs.weight", stretched.numpy()


def _stretched(network: Any) -> Tensor | None:
    """By how much each frequency of the positions is divided, where a model reads longer texts than it began with."""
    turns = network.model.rotary_emb
    if turns.attention_scaling != 1:
        kind = network.config.rope_parameters.get("rope_type")
        raise ExportError(f"Positions of the kind {kind} cannot be written as GGUF.", "Take the folder.")
    own = turns.inv_freq.detach().float().cpu()
    plain = network.config.rope_parameters["rope_theta"] ** -(torch.arange(len(own)).float() / len(own))
    return None if torch.allclose(own, plain, rtol=1e-4) else plain / own


def _heads(config: Any, name: str) -> int | None:
    """Of queries and keys of a Llama the number of heads; None for all that stays as it is."""
    if ARCHITECTURES[config.model_type] is not gguf.MODEL_ARCH.LLAMA:
        return None
    if ".q_proj." in name:
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if ".k_proj." in name else None


def _in_pairs(weight: Tensor, heads: int | None) -> Tensor:
    """Rows of a head as GGUF has them: those that turn together beside each other.

    >>> _in_pairs(torch.arange(4.0), 1), _in_halves(_in_pairs(torch.arange(8.0), 2), 2)
    (tensor([0., 2., 1., 3.]), tensor([0., 1., 2., 3., 4., 5., 6., 7.]))
    """
    return weight if heads is None else weight.reshape(heads, 2, -1, *weight.shape[1:]).transpose(1, 2).reshape(
        weight.shape
    )  # fmt: skip


def _in_halves(weight: Tensor, heads: int | None) -> Tensor:
    """The way back."""
    return weight if heads is None else weight.reshape(
        heads, len(weight) // heads // 2, 2, *weight.shape[1:]
    ).transpose(1, 2).reshape(weight.shape)  # fmt: skip


def _packed(weight: np.ndarray, precision: Precision) -> tuple[np.ndarray, GGMLQuantizationType]:
    """A matrix in few bits; what has one dimension stays in float32."""
    if weight.ndim == 1:
        return weight, GGMLQuantizationType.F32
    if precision == "q8_0" and weight.shape[-1] % BLOCK == 0:
        return quants.quantize(weight, GGMLQuantizationType.Q8_0), GGMLQuantizationType.Q8_0
    return weight.astype(np.float16), GGMLQuantizationType.F16


# --- the tokenizer


def _add_tokenizer(writer: gguf.GGUFWriter, processor: Any, size: int) -> None:
    """Tokens, merges and signs of a byte-pair encoding: of bytes (GPT-2), or of SentencePiece."""
    tokenizer = json.loads(processor.backend_tokenizer.to_str())
    if tokenizer["model"].get("type") != "BPE":
        raise ExportError(f"A tokenizer of the kind {tokenizer['model'].get('type')} cannot be written as GGUF.",
                          "Take the Hugging Face folder.")  # fmt: skip
    of_bytes = not tokenizer["model"].get("byte_fallback")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["model"]["merges"]]
    tokens, types = _tokens(processor, tokenizer, size)
    writer.add_tokenizer_model("gpt2" if of_bytes else "llama")
    writer.add_tokenizer_pre(_split(tokenizer) if of_bytes else "default")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if of_bytes:
        writer.add_token_merges(merges or [f"{tokens[-1]} {tokens[-1]}"])  # an empty list is no list to its readers
    else:
        ranks = {merge.replace(" ", "", 1): rank for rank, merge in reversed(list(enumerate(merges)))}
        writer.add_token_scores([-float(ranks.get(token, len(merges))) for token in tokens])
        writer.add_add_space_prefix("Prepend" in json.dumps(tokenizer["normalizer"]))
    first = processor.bos_token_id
    if first is None and not processor.chat_template:
        first = processor.eos_token_id  # the sign before each text that was learned, see `encoded_tokens.start`
    for add, number in ((writer.add_bos_token_id, first), (writer.add_eos_token_id, processor.eos_token_id),
                        (writer.add_pad_token_id, processor.pad_token_id)):  # fmt: skip
        if number is not None:
            add(number)
    writer.add_add_bos_token(first is not None and not processor.chat_template)  # a template writes its own
    if processor.chat_template:
        writer.add_chat_template(processor.chat_template)


def _split(tokenizer: dict[str, Any]) -> str:
    """What llama.cpp calls the way in which a text is cut before. Raises `ExportError` for one that it does not
    know."""
    before = tokenizer["pre_tokenizer"] or {}
    steps = before.get("pretokenizers", [before])
    patterns = [step["pattern"].get("Regex", "") for step in steps if step["type"] == "Split"]
    if not patterns and [step["type"] for step in steps] == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if [step["type"] for step in steps] == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    found = SPLITS.get(patterns[0]) if len(patterns) == 1 else None
    if found is None:
        raise ExportError("The tokenizer cuts texts in a way that llama.cpp has no name for here.", "Take the folder.")
    return found


def _tokens(processor: Any, tokenizer: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    """All tokens by their number, and what each is; a vocabulary that is filled up has tokens that never come."""
    added = {int(entry["id"]): bool(entry["special"]) for entry in tokenizer["added_tokens"]}
    names = {number: token for token, number in processor.get_vocab().items()}
    tokens, types = [], []
    for number in range(size):
        token = names.get(number)
        tokens.append(f"[PAD{number}]" if token is None else token)
        if token is None:
            kind = gguf.TokenType.UNUSED
        elif number in added:
            kind = gguf.TokenType.CONTROL if added[number] else gguf.TokenType.USER_DEFINED
        elif tokenizer["model"].get("byte_fallback") and len(token) == 6 and token.startswith("<0x"):
            kind = gguf.TokenType.BYTE
        else:
            kind = gguf.TokenType.NORMAL
        types.append(int(kind))
    return tokens, types
