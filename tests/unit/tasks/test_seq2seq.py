"""Encoder-decoders: loss and every gradient of a step are those of transformers' own loss of each row alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tunesmith.artifacts import Example, Row, message
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.heads import TaskHead, load_with_head
from tunesmith.models.tasks import build_task, tokens_beyond_window
from tunesmith.models.tasks.seq2seq import Seq2seqRow, shortest_and_longest_rows
from tunesmith.recipe import TaskSettings

FAMILIES = ("t5", "t5-gated", "mt5", "bart", "mbart", "marian", "pegasus", "m2m_100")
CPU = torch.device("cpu")
TEXTS = (
    ("Where is my order?", "order"),
    (
        "The kettle leaks, and I would like my money back or a new one by Friday, please; nobody answers the phone.",
        "money back or a new kettle",
    ),
    ("card not working", "the card is not working, and the customer would like a new card"),
    ("It should have been here on Tuesday. It is not.", "late"),
    ("Anna Berg of Acme wrote from Oslo", "Anna wrote from Oslo to Paris on Friday"),
)
Encoder = Callable[[str], Path]


def row_of(source: str, target: str, at: int = 0) -> Row:
    said = (message("user", source), message("assistant", target))
    return Row(row_id=f"{at:016x}", file="made", line=at + 1, example=Example(messages=said))


def weighed(weight: float) -> Row:
    said = (message("user", "x"), message("assistant", "x").model_copy(update={"weight": weight}))
    return Row(row_id="9" * 16, file="made", line=9, example=Example(messages=said))


def rows() -> list[Row]:
    return [row_of(*pair, at) for at, pair in enumerate(TEXTS)]


def task_of(**settings: Any) -> Any:
    return build_task(TaskSettings(type="seq2seq", **settings), "encoder-decoder", rows())


def pieces_of(task: Any, tokenizer: Any) -> list[Seq2seqRow]:
    return [piece for row in rows() for piece in task.encode(row, tokenizer, window=64, objective="completion")]


def own_loss(model: Any, pieces: list[Seq2seqRow], smoothing: float) -> float:
    """From each row alone: transformers' own loss of `labels`, or its logits under torch's smoothing."""
    model.zero_grad()
    total, weight = 0.0, sum(len(piece.target) for piece in pieces)
    for piece in pieces:
        labels = torch.tensor([piece.target])
        made = model(input_ids=torch.tensor([piece.source]), labels=labels)
        loss = made.loss
        if smoothing:
            loss = cross_entropy(made.logits[0], labels[0], label_smoothing=smoothing)
        (loss * len(piece.target) / weight).backward()
        total += float(loss.detach()) * len(piece.target) / weight
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("size", [16, 90, 4096])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_is_what_transformers_computes_row_by_row(
    encoder: Encoder, family: str, size: int, smoothing: float
) -> None:
    task = task_of()
    model, tokenizer = load_with_head(encoder(family), task.head, seed=5)
    pieces = pieces_of(task, tokenizer)
    weight, mine, passes = sum(piece.weight for piece in pieces), 0.0, 0
    for group in task.split(pieces, size):
        loss = task.loss(model, task.pack(group, CPU), label_smoothing=smoothing) / weight
        loss.backward()
        mine, passes = mine + float(loss.detach()), passes + 1
    assert passes == {16: 5, 90: 3, 4096: 2}[size]
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    assert mine == pytest.approx(own_loss(model, pieces, smoothing), rel=1e-6)
    theirs = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    assert gradients.keys() == theirs.keys() and len(theirs) > 20
    apart = torch.stack([(gradients[name] - theirs[name]).norm() for name in theirs])
    sizes = torch.stack([theirs[name].norm() for name in theirs])
    assert float(apart.norm() / sizes.norm()) < 2e-6
    assert bool((apart <= 1e-5 * sizes + 1e-7 * sizes.max()).all())


def test_a_target_is_closed_by_one_end_and_spells_no_special_token(encoder: Encoder) -> None:
    _, tokenizer = load_with_head(encoder("t5"), TaskHead("seq2seq"))
    task = task_of(instruction="the phone:")
    (piece,) = task.encode(row_of("[PAD] a [SEP]", "[SEP] late [PAD]"), tokenizer, window=64, objective="completion")
    assert piece.target.count(tokenizer.eos_token_id) == 1 and piece.target[-1] == tokenizer.eos_token_id
    assert tokenizer.pad_token_id not in piece.ids and piece.source.count(tokenizer.eos_token_id) == 1
    shown = task.read_back(piece, tokenizer)
    assert shown[0][0].startswith("the phone [UNK] ") and [weight for _, weight in shown] == [0.0, 1.0]
    assert task.source(row_of("a", "b")) == "the phone: a"
    assert task_of(instruction="say:\n").source(row_of("a", "b")) == "say:\na"


def test_a_tokenizer_without_an_end_behind_its_texts_gets_one(encoder: Encoder) -> None:
    from tokenizers.processors import TemplateProcessing

    _, tokenizer = load_with_head(encoder("t5"), TaskHead("seq2seq"))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    (piece,) = task_of().encode(row_of("order", "late"), tokenizer, window=64, objective="completion")
    assert piece.target[-1] == tokenizer.eos_token_id and tokenizer.eos_token_id not in piece.source


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (row_of("  ", "x"), "the text is empty"),
        (row_of("x", " \n"), "the target is empty"),
        (row_of("x", "\u200d"), "leaves nothing of the target"),
        (row_of("x", "\u4e00"), "leaves nothing of the target"),
        (row_of("order " * 70, "x"), r"a source of 71 tokens; the context holds 64"),
        (row_of("x", "order " * 70), r"a target of 71 tokens; the context holds 64"),
        (Row(row_id="9" * 16, file="made", line=9, example=Example(text="a text alone")), "there is no target"),
        (
            Row(
                row_id="9" * 16,
                file="made",
                line=9,
                example=Example(messages=(message("system", "s"), message("user", "u"), message("assistant", "a"))),
            ),
            "the turns system, user, assistant",
        ),
        (weighed(0.0), "the answer has a weight"),
        (row_of("\u200d", "x"), "leaves nothing of the text"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_its_row(encoder: Encoder, row: Row, why: str) -> None:
    _, tokenizer = load_with_head(encoder("t5"), TaskHead("seq2seq"))
    with pytest.raises(DataError, match=why) as told:
        task_of().encode(row, tokenizer, window=64, objective="completion")
    assert row.row_id in told.value.what


def test_each_side_has_the_whole_window() -> None:
    """100 and 90 tokens fit a context of 100; of 120 and 110 tokens 20 and 10 are lost."""
    fits, long = Seq2seqRow("a", (5,) * 100, (6,) * 90), Seq2seqRow("b", (5,) * 120, (6,) * 110)
    assert tokens_beyond_window(fits, 100) == (0, 0)
    assert tokens_beyond_window(long, 100) == (30, 10)


@pytest.mark.parametrize(
    ("kind", "shape", "why", "hint"),
    [
        ("chat", "encoder-decoder", "needs a decoder", "task: seq2seq"),
        ("classify", "encoder-decoder", "needs an encoder or a decoder", "task: seq2seq"),
        ("tag", "encoder-decoder", "needs an encoder", "task: seq2seq"),
        ("text", "encoder-decoder", "needs a decoder", "task: seq2seq"),
        ("seq2seq", "encoder", "needs an encoder with a decoder, e.g. base: t5-small", "task: classify or task: tag"),
        ("seq2seq", "decoder", "needs an encoder with a decoder, e.g. base: t5-small", "task: chat"),
    ],
)
def test_another_shape_is_refused_with_what_to_give(kind: Any, shape: Any, why: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=why) as told:
        build_task(TaskSettings(type=kind), shape)
    assert hint in told.value.hint


def test_two_rows_to_try_differ_on_both_sides() -> None:
    short, long = shortest_and_longest_rows([Seq2seqRow("a", (5,) * 9, (6, 7, 3)), Seq2seqRow("b", (5,) * 9, (6, 3))])
    assert len(short.source) < len(long.source) and len(short.target) > len(long.target)
