"""Encoders: loss and every gradient of a step are those of transformers' own model, row by row, however it is split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith.artifacts import Example, Row
from tunesmith.models.heads import load_with_head
from tunesmith.models.tasks import build_task
from tunesmith.recipe import TaskSettings

FAMILIES = ("bert", "roberta", "electra", "deberta-v2", "modernbert", "distilbert")
CPU = torch.device("cpu")
TEXTS = (
    "Where is my order?",
    "The kettle leaks, and I would like my money back or a new one by Friday, please; nobody answers the phone.",
    "card not working",
    "It should have been here on Tuesday. It is not.",
    "Anna Berg of Acme wrote from Oslo",
)
LABELS = {
    "single": (("order",), ("refund",), ("card",), ("order",), ("card",)),
    "multi": (("order",), ("refund", "order"), ("card",), ("order", "late"), ("card", "late", "order")),
    "score": (("1.5",), ("-2",), ("0.25",), ("3",), ("0",)),
}


def rows(kind: str) -> list[Row]:
    return [
        Row(row_id=f"{at:016x}", file="made", line=at + 1, example=Example(text=text, labels=labels))
        for at, (text, labels) in enumerate(zip(TEXTS, LABELS[kind], strict=True))
    ]


def whole_loss(model: Any, task: Any, pieces: list[Any], size: int) -> float:
    """Loss and gradients of one step, as the loop sums them."""
    model.zero_grad()
    weight = sum(piece.weight for piece in pieces)
    total = 0.0
    for group in task.split(pieces, size):
        loss = task.loss(model, task.pack(group, CPU)) / weight
        loss.backward()
        total += float(loss.detach())
    return total


def own_loss(model: Any, task: Any, pieces: list[Any], weight: Callable[[Any], float]) -> float:
    """The same from transformers' own loss of each row alone."""
    model.zero_grad()
    total = 0.0
    for piece in pieces:
        (labels,) = task_labels(task, piece)
        found = model(input_ids=torch.tensor([piece.ids]), labels=labels).loss * weight(piece)
        found.backward()
        total += float(found.detach())
    return total


def task_labels(task: Any, piece: Any) -> tuple[torch.Tensor]:
    if task.settings.type == "tag":
        labels = torch.full((1, len(piece.ids)), -100)
        labels[0, list(piece.positions)] = torch.tensor(piece.targets, dtype=torch.int64)
        return (labels,)
    match task.settings.labels:
        case "single":
            return (torch.tensor([int(piece.targets[0])]),)
        case "multi":
            return (torch.tensor([piece.targets]),)
    return (torch.tensor([piece.targets[0]]),)


@pytest.mark.parametrize("size", [16, 60, 4096])
@pytest.mark.parametrize("kind", ["single", "multi", "score"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_is_what_transformers_computes_row_by_row(
    encoder: Callable[[str], Path], family: str, kind: str, size: int
) -> None:
    task = build_task(TaskSettings(type="classify", labels=kind), "encoder", rows(kind))
    model, tokenizer = load_with_head(encoder(family), task.head, seed=5)
    if family == "electra":
        model.double()  # drawn this wide, its fp32 gradients alone are 2e-6 from those of another order of sums
    pieces = [piece for row in rows(kind) for piece in task.encode(row, tokenizer, window=64, objective="completion")]
    assert len({len(piece.ids) for piece in pieces}) > 3
    mine = whole_loss(model, task, pieces, size)
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    theirs = own_loss(model, task, pieces, lambda piece: 1 / len(pieces))
    assert mine == pytest.approx(theirs, rel=1e-6)
    check_gradients(model, gradients)


def check_gradients(model: Any, mine: dict[str, torch.Tensor]) -> None:
    """Every gradient within 1e-5 of its own size, the whole within 2e-6 of its in fp32, 1e-7 in fp64."""
    theirs = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    assert mine.keys() == theirs.keys() and len(mine) > 10
    apart = torch.stack([(mine[name] - theirs[name]).norm() for name in mine])
    sizes = torch.stack([theirs[name].norm() for name in mine])
    assert float(apart.norm() / sizes.norm()) < (1e-7 if apart.dtype == torch.float64 else 2e-6)
    assert bool((apart <= 1e-5 * sizes + 1e-7 * sizes.max()).all())


SENTENCES = (
    ("Anna Berg of Acme wrote", "B-person I-person O B-firm O"),
    ("nobody", "O"),
    ("Erik in Paris answers the phone on Tuesday", "B-person O B-place O O O O B-day"),
    ("card not working", "O O O"),
)


def tagged() -> list[Row]:
    return [
        Row(
            row_id=f"{at:016x}",
            file="made",
            line=at + 1,
            example=Example(text=words, tokens=tuple(words.split()), tags=tuple(tags.split())),
        )
        for at, (words, tags) in enumerate(SENTENCES)
    ]


@pytest.mark.parametrize("size", [16, 4096])
@pytest.mark.parametrize("subwords", ["first", "all"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_tagging_step_is_what_transformers_computes_row_by_row(
    encoder: Callable[[str], Path], family: str, subwords: str, size: int
) -> None:
    task = build_task(TaskSettings(type="tag", subwords=subwords), "encoder", tagged())
    model, tokenizer = load_with_head(encoder(family), task.head, seed=5)
    pieces = [piece for row in tagged() for piece in task.encode(row, tokenizer, window=64, objective="completion")]
    mine = whole_loss(model, task, pieces, size)
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    weight = sum(piece.weight for piece in pieces)
    theirs = own_loss(model, task, pieces, lambda piece: piece.weight / weight)
    assert mine == pytest.approx(theirs, rel=1e-6)
    check_gradients(model, gradients)
    assert weight == (17 if subwords == "first" else sum(len(piece.ids) - 2 for piece in pieces))


def test_words_keep_their_tags_whatever_the_tokenizer_makes_of_them(encoder: Callable[[str], Path]) -> None:
    """The first token of each word is read; one that is left nothing of is outside; a spelled special token is letters."""
    words = ("kettle", "\u200d", "[SEP]", "Paris,", "x")
    row = Row(
        row_id="0" * 16, file="made", line=1, example=Example(text=" ".join(words), tokens=words, tags=("O",) * 5)
    )
    task = build_task(TaskSettings(type="tag"), "encoder", tagged())
    _, tokenizer = load_with_head(encoder("bert"), task.head, seed=5)
    piece = task.question(row, tokenizer, window=64)
    assert piece.words == (0, 2, 3, 4) and piece.count == 5
    assert piece.ids.count(tokenizer.sep_token_id) == 1
    best = torch.zeros(4, len(task.labels))
    best[:, task.labels.index("B-day")] = 1
    assert task.answer(piece, best) == "B-day O B-day B-day B-day"


def test_rows_do_not_change_each_other(encoder: Callable[[str], Path]) -> None:
    task = build_task(TaskSettings(type="classify"), "encoder", rows("single"))
    model, tokenizer = load_with_head(encoder("bert"), task.head, seed=5)
    pieces = [task.question(row, tokenizer, window=64) for row in rows("single")]
    with torch.no_grad():
        alone = [model(input_ids=torch.tensor([piece.ids])).logits[0] for piece in pieces]
    from tunesmith.models.backends.encoder import EncoderModel

    together = EncoderModel(model, tokenizer, "sha256:x").logits(pieces)
    for one, other in zip(alone, together, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=2e-6)
    assert task.answer(pieces[0], alone[0]) == task.labels[int(alone[0].argmax())]
