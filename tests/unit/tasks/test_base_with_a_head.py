"""A base that was tuned before brings a head of its own: it is kept for the same labels, and never lent to others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tunesmith.errors import DataError
from tunesmith.models.heads import TaskHead, load_with_head

Encoder = Callable[[str], Path]
OWN = TaskHead("sequence", ("a", "b", "c"), "single_label_classification")


def weight(folder: Path, head: TaskHead, seed: int) -> torch.Tensor:
    model, _ = load_with_head(folder, head, seed=seed)
    return model.classifier.weight.detach()


@pytest.fixture
def tuned(encoder: Encoder, tmp_path: Path) -> Path:
    """A folder with a head over a, b and c."""
    model, tokenizer = load_with_head(encoder("bert"), OWN, seed=5)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def test_the_same_labels_keep_the_head(tuned: Path, encoder: Encoder) -> None:
    assert torch.equal(weight(tuned, OWN, 9), weight(encoder("bert"), OWN, 5))


def test_other_labels_get_a_head_of_their_own(tuned: Path) -> None:
    others = TaskHead("sequence", ("x", "y", "z"), "single_label_classification")
    before = weight(tuned, OWN, 9)
    first, again, other = weight(tuned, others, 9), weight(tuned, others, 9), weight(tuned, others, 10)
    assert first.shape == before.shape and not torch.equal(first, before)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_another_number_of_labels_is_no_error(tuned: Path) -> None:
    two = TaskHead("sequence", ("x", "y"), "single_label_classification")
    assert weight(tuned, two, 9).shape == (2, 32)
    assert torch.equal(weight(tuned, two, 9), weight(tuned, two, 9))


def test_a_release_is_never_given_a_new_head(tuned: Path) -> None:
    with pytest.raises(DataError):
        load_with_head(tuned, TaskHead("sequence", ("x", "y"), "single_label_classification"))


def test_a_trunk_of_another_size_is_refused(tuned: Path) -> None:
    text = (tuned / "config.json").read_text()
    (tuned / "config.json").write_text(text.replace('"intermediate_size": 48', '"intermediate_size": 40'))
    with pytest.raises(DataError, match="sizes"):
        load_with_head(tuned, TaskHead("sequence", ("x", "y"), "single_label_classification"), seed=9)
