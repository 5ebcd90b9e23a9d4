"""What a model folder may hold, looked at before any library opens it: plain names of safetensors files, headers and
sizes within bounds, nothing that leads out of the folder or to code."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.errors import ModelError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

MAX_JSON_BYTES = 100 * 1024**2
"""Of an index or of a tokenizer's settings; the config is far smaller."""

MAX_CONFIG_BYTES = 10 * 1024**2
MAX_HEADER_BYTES = 25 * 1024**2
MAX_DIMENSIONS = 8
MAX_LAYERS = 1_000
"""Of layers, blocks, experts and the like, which a network is built of one by one."""

MAX_LABELS = 100_000
MAX_SIZE = 10_000_000
"""Of a layer or a vocabulary."""

_COUNTS = re.compile(r"layers?($|_)|depth|block|stage|expert|group|branch|stack|repeat")
_NO_COUNTS = re.compile(r"size|theta|seed|scale|token|eps|ratio|norm|range|type|max_|min_|index|_to_|limit|factor")
_BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
          "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}  # fmt: skip

_LEADING = {"checkpoint_path", "cache_dir", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay"}
"""What timm, which some configs have a network made by, takes for weights of its own."""

_TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json")
_PREPARING = ("preprocessor_config.json", "processor_config.json")
"""Settings that a tokenizer or an image processor is made with, by whatever names its class has for them."""

_FETCHED = ("repo_path", "class_info_file")
"""Names of files that some image processors fetch."""

_TEMPLATES = "additional_chat_templates"
"""The folder in a model folder whose files go out with a tokenizer."""

MOST_GROWTH = 1_000
"""So many times as long may the replacements of a tokenizer make a text, one after the other; usual ones put a letter
in place of one."""

_OF_DEVICES = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")
"""What several devices have written: where one such file is, transformers opens all there are, whatever the index."""

LONGEST_TOLD = 200
"""Letters of what a file says that a message repeats."""

OTHER = "Choose another folder, or save the model again with `save_pretrained`."


def check(folder: Path) -> None:
    """Raise `ModelError` unless the folder holds a config and safetensors weights that are safe to open."""
    if not folder.is_dir():
        raise ModelError(
            f"There is no folder {folder}.", "Check the path; it is read on the machine that serves the studio."
        )
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no config.json.", "Choose a folder in Hugging Face format.")
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            f"{folder} holds an adapter for another model, not a model.", "Merge the adapter into its model, and save."
        )
    _check_links(folder)
    config = read_json(folder / "config.json", MAX_CONFIG_BYTES)
    _check_config(config, folder)
    check_processor(folder)
    _check_replacements(folder)
    for file in weight_files(folder, compact=bool(config.get("compact"))):
        _check_weights(file)


def weight_files(folder: Path, compact: bool = False) -> list[Path]:
    """The files whose weights are opened; those of a `compact` model are all that are there.

    Raises `ModelError` where an index names anything but plain safetensors files in the folder.
    """
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        reason = " It has pickled weights (.bin, .pt), which can run code when opened." if pickled else ""
        raise ModelError(
            f"{folder} holds no .safetensors weights.{reason}",
            "Save the model again with `save_pretrained`, which writes safetensors.",
        )
    if any(_OF_DEVICES.match(file.name) for file in folder.iterdir()):
        raise ModelError(f"{folder} holds weights as several devices have written them (shard-…).", OTHER)
    if compact:
        return sorted(folder.glob("*.safetensors"))
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} holds neither {WEIGHTS} nor {INDEX}.", OTHER)
    names = read_json(folder / INDEX, MAX_JSON_BYTES).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ModelError(f"{INDEX} in {folder} names no weights.", OTHER)
    return [_inside(folder, name) for name in sorted(set(map(str, names.values())))]


def read_json(file: Path, most_bytes: int) -> dict[str, Any]:
    """The object in a JSON file; raises `ModelError` where it holds none, or is too long."""
    if file.stat().st_size > most_bytes:
        raise ModelError(f"{file} has more than {most_bytes >> 20} MiB.", OTHER)
    return _object(file.read_bytes(), str(file))


def _object(data: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where} cannot be read as JSON: {error}.", OTHER) from error
    if not isinstance(value, dict):
        raise ModelError(f"{where} holds no JSON object.", OTHER)
    return value


def _inside(folder: Path, name: str) -> Path:
    """The weights called `name`, which may name a file in this very folder and nothing else."""
    if not name.endswith(".safetensors") or Path(name).name != name or "\\" in name or not name.isprintable():
        raise ModelError(
            f"{INDEX} in {folder} names {name!r}: only plain names of .safetensors files in the folder are opened.",
            OTHER,
        )
    if not (folder / name).is_file():
        raise ModelError(f"{INDEX} in {folder} names {name!r}, which is not there.", "Copy the whole folder.")
    return folder / name


def _check_config(config: dict[str, Any], folder: Path) -> None:
    """Refuse what leads to other files or to code, and sizes that no model has."""
    for name, why in (
        ("transformers_weights", "names its weights in a file of another name"),
        ("quantization_config", "holds quantized weights, which cannot be trained"),
    ):
        if config.get(name):
            raise ModelError(f"The model in {folder} {why} ({name}).", "Choose one with plain weights.")
    for key, value in _entries(config):
        if key == "attribute_map":
            raise ModelError(
                f"The config in {folder} gives its settings other names ({key}), under which nobody looks at them.",
                "Choose another model.",
            )
        if key.strip("_").startswith(("attn_implementation", "experts_implementation")) and "/" in str(value):
            raise ModelError(
                f"The config in {folder} asks for code from elsewhere: {key} is {value!r}.", "Choose another model."
            )
        if isinstance(value, int) and not isinstance(value, bool):
            _check_size(key, value, folder)
    made_by, given = str(config.get("architecture", "")), config.get("model_args")
    if not made_by.isascii() or set(made_by) & set(":/\\") or (isinstance(given, dict) and _LEADING & set(given)):
        raise ModelError(f"The config in {folder} takes its weights from elsewhere.", "Choose another model.")
    for key, value in config.items():
        if isinstance(value, list) and _counts(key):
            _check_size(key, sum(each for each in value if isinstance(each, int)), folder)


def _check_size(key: str, value: int, folder: Path) -> None:
    most = MAX_LAYERS if _counts(key) else MAX_LABELS if key == "num_labels" else MAX_SIZE
    if value > most and not (most == MAX_SIZE and _NO_COUNTS.search(key.lower().replace("size", ""))):
        raise ModelError(f"The config in {folder} says {key} = {value:,}; at most {most:,} are opened.", OTHER)


def _counts(key: str) -> bool:
    """Whether the number of this name says how many parts a network is built of.

    >>> _counts("num_hidden_layers"), _counts("depths"), _counts("block_size"), _counts("hidden_size")
    (True, True, False, False)
    """
    return bool(_COUNTS.search(key.lower())) and not _NO_COUNTS.search(key.lower())


def _entries(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with the name that it stands under: objects and lists, and what is in them."""
    waiting = [(key, value)]
    while waiting:
        name, found = waiting.pop()
        yield name, found
        if isinstance(found, dict):
            waiting += [(str(inner), each) for inner, each in found.items()]
        elif isinstance(found, list):
            waiting += [(name, each) for each in found]


def _check_links(folder: Path) -> None:
    """Refuse a file that is a link to one of another name elsewhere, as a repository may hold them: its text would be a
    vocabulary. In the hub's cache every file is a link, to what stands under its checksum."""
    own = folder.resolve()
    kept = own.parent.parent / "blobs"
    for file in (*folder.iterdir(), *(folder / _TEMPLATES).glob("*")):
        if not file.is_symlink() or file.suffix == ".safetensors":
            continue
        there = file.resolve()
        if not there.is_relative_to(own) and there.parent != kept and there.name != file.name:
            raise ModelError(f"The file {file.name} in {folder} is a link to {there}.", "Put the file itself there.")


def check_processor(folder: Path) -> None:
    """Raise `ModelError` where the settings of a tokenizer or an image processor name a file outside of the folder.

    Libraries read it, and a tokenizer keeps what it has read as its vocabulary, which goes out with every student: no
    text of the settings may be the path of such a file, whatever it is meant for. Some processors fetch files, too.
    """
    for name in (*_TOKENIZER, *_PREPARING):
        if not (folder / name).is_file():
            continue
        for key, value in _entries(read_json(folder / name, MAX_JSON_BYTES)):
            is_fetched = name in _PREPARING and key in _FETCHED and value is not None
            if is_fetched or (isinstance(value, str) and _leads_out(value, folder)):
                told = str(value)[:LONGEST_TOLD]
                raise ModelError(
                    f"The settings in {folder} lead to a file outside of it: {key} is {told!r} in {name}.", OTHER
                )


def _check_replacements(folder: Path) -> None:
    """Refuse a tokenizer that makes a short text so long that it takes all memory, on its way in or out."""
    file = folder / "tokenizer.json"
    said = read_json(file, MAX_JSON_BYTES) if file.is_file() else {}
    for part in ("normalizer", "decoder"):
        steps = [
            step for _, step in _entries(said.get(part)) if isinstance(step, dict) and step.get("type") == "Replace"
        ]
        growth = math.prod(map(_growth, steps))
        if growth > MOST_GROWTH:
            raise ModelError(
                f"The {part} of the tokenizer in {folder} makes a text up to {min(growth, 10**9):,.0f} times as long.",
                "Choose another model.",
            )


def _growth(step: dict[str, Any]) -> float:
    """How many times as long a replacement makes a text at most.

    >>> _growth({"pattern": {"String": "``"}, "content": '"'}), _growth({"pattern": {"Regex": " +"}, "content": "▁"})
    (1.0, 1.0)
    >>> _growth({"pattern": {"Regex": "a*"}, "content": "bc"})
    3.0
    """
    content = step.get("content")
    pattern = step["pattern"] if isinstance(step.get("pattern"), dict) else {}
    length = len(content) if isinstance(content, str) else 0
    if isinstance(pattern.get("String"), str) and pattern["String"]:
        return max(1.0, length / len(pattern["String"]))
    try:
        finds_nothing = re.match(str(pattern.get("Regex", "")), "") is not None
    except (re.error, OverflowError, RecursionError):
        finds_nothing = True
    return 1.0 + length if finds_nothing else max(1.0, length)  # nothing is found before each letter


def _leads_out(text: str, folder: Path) -> bool:
    """Whether a text is the path of a file that is not in the folder, seen from it or from where the studio was
    started; that of a folder leads to nothing."""
    own = folder.resolve()
    try:
        there = [path for path in (Path(text), folder / text) if path.exists() and not path.is_dir()]
    except (OSError, ValueError):  # longer than a path, or with signs that none has
        return False
    return any(path.absolute().parent.resolve() != own for path in there)


def _check_weights(file: Path) -> None:
    """Raise `ModelError` unless the header tells the bytes of the file, tensor by tensor."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
            raise ModelError(f"{file} is no safetensors file, or is cut short: {size:,} bytes.", OTHER)
        header = _object(opened.read(length), f"The header of {file}")
    header.pop("__metadata__", None)
    end = 0
    for name, tensor in sorted(header.items(), key=lambda item: _offsets(item[1])):
        begin, stop = _offsets(tensor)
        if begin != end or stop - begin != _tensor_bytes(tensor):
            raise ModelError(f"The weight {name!r} in {file} has other bytes than its shape says.", OTHER)
        end = stop
    if end != size - 8 - length:
        raise ModelError(f"The weights in {file} are not as long as its header says.", "Copy the file again.")


def _offsets(tensor: Any) -> tuple[int, int]:
    """Where a tensor lies; nowhere where its entry does not say."""
    found = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    if isinstance(found, list) and len(found) == 2 and all(type(place) is int for place in found):
        return found[0], found[1]
    return -1, -1


def _tensor_bytes(tensor: Any) -> int:
    """The bytes of a tensor by its shape; -1 where that is none."""
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        return -1
    if not all(type(side) is int and side >= 0 for side in shape):
        return -1
    return math.prod(shape) * _BYTES.get(str(tensor.get("dtype")), -1)
