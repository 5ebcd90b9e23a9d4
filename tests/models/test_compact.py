"""What a config says of a model that is smaller than it can tell: read and written in one place."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from studio.compress import prune
from studio.compress.quantized import quantize_weights
from studio.config.plan import Prune
from studio.models import compact
from studio.models.compact import Compact
from studio.models.opening import _open_network
from studio.models.saving import save
from tests.compress.test_compress import logits, make

TEXT = AutoModelForSequenceClassification


@pytest.mark.parametrize("told", [Compact(), Compact(("a.b",)), Compact(("a", "b"), {"c.weight": "sparse"})])
def test_an_entry_is_read_as_it_was_written_also_after_a_save(told, tmp_path):
    config = BertConfig()
    told.mark(config)
    assert Compact.of(config) == told
    config.save_pretrained(tmp_path)
    assert Compact.of(BertConfig.from_pretrained(tmp_path)) == told


def test_an_ordinary_config_has_no_entry():
    config = BertConfig()
    assert Compact.of(config) is None
    config.compact = None
    assert Compact.of(config) is None


def test_a_folder_of_an_earlier_version_opens_whatever_its_entry_leaves_out():
    config = BertConfig()
    config.compact = {"low_rank": ["a"]}
    assert Compact.of(config) == Compact(("a",))


def test_the_file_stands_alone_so_that_an_export_can_carry_it(tmp_path):
    (tmp_path / "studio_compact.py").write_bytes(Path(compact.__file__).read_bytes())
    script = "import studio_compact, sys; sys.exit('studio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False).returncode == 0


WRITTEN = {
    "weights_int8": (
        [[1.27, -0.5, 0.0], [0.0, 0.25, -1.0]],
        {"codes": [[127, -50, 0], [0, 32, -127]], "scales": [[0.01], [1 / 127]]},
    ),
    "weights_int4": (
        [[1.27, -0.5, 0.0], [0.0, 0.25, -1.0]],
        {"codes": [95, 136, 41, *[136] * 13], "scales": [[0.181396484375]]},
    ),
    "codebook": ([[0.5, -0.5, 2.0], [2.0, 0.5, 0.5]], {"codes": [1, 34, 17], "book": [-0.5, 0.5, 2.0]}),
    "sparse": ([[1.5, -0.5, 0.0], [0.0, 0.25, -1.0]], {"mask": [0b110011], "values": [1.5, -0.5, 0.25, -1.0]}),
}
"""Of each form a weight, and how it is written: folders that were saved so must open for ever."""


@pytest.mark.parametrize("form", compact.FORMS)
def test_a_form_writes_and_reads_the_bytes_that_it_always_did(form):
    weight, parts = WRITTEN[form]
    weight = compact.rounded(torch.tensor(weight), form) if form in compact.EVEN else torch.tensor(weight)
    small = compact.packed({"a.weight": weight, "a.bias": weight[0]}, {"a.weight": form})
    assert set(small) == {"a.bias", "a.weight.shape", *(f"a.weight.{part}" for part in parts)}
    for part, values in parts.items():
        saved = small[f"a.weight.{part}"]
        assert torch.equal(saved, torch.tensor(values, dtype=saved.dtype)), part
    again = compact.unpacked(small, {"a.weight": form, "twin.weight": form})
    assert torch.equal(again.pop("a.weight"), weight)
    assert set(again) == {"a.bias"}


def test_a_model_of_few_heads_and_few_bits_keeps_its_shapes_when_it_is_opened_and_saved_again(tmp_path):
    model, sample = make("bert")
    small = quantize_weights(prune(model, Prune(ratio=0.5, units=("heads",)), sample), "weights_int8")
    first = save(small, tmp_path / "first")
    opened, _ = _open_network(first.folder, TEXT, None)
    second = save(type(model)(opened, model.processor), tmp_path / "second")
    again, loading = _open_network(second.folder, TEXT, None)
    assert not loading["missing_keys"]
    assert not loading["mismatched_keys"]
    assert torch.allclose(logits(again, sample), logits(small.network, sample), atol=1e-6)


def test_weights_of_few_bits_are_plain_numbers_once_the_model_is_opened(tmp_path):
    model, _ = make("bert")
    first = save(quantize_weights(model, "weights_int8"), tmp_path / "first")
    opened, _ = _open_network(first.folder, TEXT, None)
    assert Compact.of(opened.config) is None
    second = save(type(model)(opened, model.processor), tmp_path / "second")
    assert not compact.is_compact(second.folder)
