"""An encoder is tried whenever it is opened, tuned weights as well as a base: a row gets what it gets alone, and numbers."""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends.encoder import open_encoder
from tunesmith.models.heads import TaskHead, load_with_head

SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[2] / "fixtures_encoders.py")
fixtures = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures)

HEADS = (TaskHead("sequence", ("a", "b"), "single_label_classification"), TaskHead("token", ("B-x", "O")))


def tuned(folder: Path, base: Path, head: TaskHead) -> Path:
    """A folder as training leaves it: the head's weights are there."""
    model, tokenizer = load_with_head(base, head, seed=5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_tuned_weights_that_look_at_padding_are_refused_with_the_figure(tmp_path: Path, head: TaskHead) -> None:
    folder = tuned(tmp_path / "tuned", fixtures.make_encoder(tmp_path / "base", "convbert"), head)
    told = r"a convbert model computes a row of \d+ tokens differently .* differ by \d\.\de-0[123] \(limit 1e-04\)"
    with pytest.raises(Misuse, match=told):
        open_encoder(folder, head, digest="")


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_tuned_weights_that_give_no_numbers_are_refused(
    tmp_path: Path, encoder: Callable[[str], Path], head: TaskHead
) -> None:
    folder = tuned(tmp_path, encoder("bert"), head)
    assert open_encoder(folder, head, digest="").model.config.num_labels == 2
    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"][0, 0] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match="the model's own logits are NaN or infinite") as caught:
        open_encoder(folder, head, digest="")
    assert caught.value.where == str(folder) and "diverged" in caught.value.hint
