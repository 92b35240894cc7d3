"""The dry run predicts the run exactly, and does not affect it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from tunesmith import train
from tunesmith.artifacts import Bin, Example, Lengths, Place, Row, TrainPreview, message
from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.errors import DataError
from tunesmith.models.packed import count_distinct_tokens
from tunesmith.models.tasks import DecoderTask
from tunesmith.recipe import NewBase, TaskSettings, TrainSettings
from tunesmith.store import open_store
from tunesmith.train.preview import dry_run, length_summary, show_row
from tunesmith.train.setup import TaskEncoder, encode_rows, set_up_training

CONFIG = Path(__file__).parents[2] / "tiny_config.json"
BASE = NewBase(config="config.json", tokenizer={"train": 300}, seed=3)
TASK = TaskSettings(type="chat", instruction="Say where the parcel is, in one word.")

Store = Callable[..., tuple[train.TrainInputs, Context]]


def row(number: int, question: str, answer: str = "Tuesday") -> Row:
    turns = (message("user", question), message("assistant", answer))
    return Row(row_id=f"{number:016x}", file="made.jsonl", line=number + 1, example=Example(messages=turns))


def questions(count: int = 22) -> list[Row]:
    """Rows of uneven length."""
    return [
        row(number, f"parcel {number} " + "please " * (number % 7), "at " * (number % 3) + "home")
        for number in range(count)
    ]


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(**{"method": "full", "rows_per_step": 4, "epochs": 1.5, "tokens_per_pass": 150, **options})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with rows in it and a context over it, by its name."""
    opened: list[Context] = []

    def make(name: str, rows: list[Row], task: TaskSettings = TASK) -> tuple[train.TrainInputs, Context]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(CONFIG.read_text())
        opened.append(Context(store=open_store(folder), data_root=folder, home=folder, seed=5))
        return train.TrainInputs(store_dataset("made", rows, opened[-1].store), BASE, task), opened[-1]

    yield make
    for context in opened:
        context.store.ledger.close()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "lora", "rank": 2, "validation": 0.2},
        {"share_prefixes": "off", "rows_per_step": None, "tokens_per_step": 200, "objective": "all-tokens"},
        {"optimizer": "muon", "max_steps": 3},
    ],
)
def test_the_run_matches_the_dry_run(store: Store, changes: dict[str, Any]) -> None:
    inputs, context = store("one", questions())
    wanted = settings(**changes)
    preview = dry_run(inputs, wanted, context)
    report = train.run(inputs, wanted, context)
    assert (preview.steps, preview.epochs, preview.sequences) == (report.steps, report.epochs, report.rows)
    assert (preview.tokens, preview.trained_tokens) == (report.tokens, report.supervised_tokens)
    assert (preview.computed_tokens, preview.trainable_parameters) == (
        report.distinct_tokens,
        report.trainable_parameters,
    )
    assert (preview.base, preview.method, preview.objective) == (report.base, report.method, report.objective)
    assert preview.rows == preview.sequences + preview.held_back == 22
    assert preview.shares == (preview.computed_tokens < preview.tokens) == (wanted.share_prefixes == "auto")
    assert preview.rejected == ()


def test_a_text_is_several_sequences(store: Store) -> None:
    words = " ".join(f"{number} parcels" for number in range(200))
    texts = [
        Row(row_id=f"{number:016x}", file="made.txt", line=number + 1, example=Example(text=words[number:]))
        for number in range(2)
    ]
    inputs, context = store("one", texts, TaskSettings(type="text"))
    wanted = settings(max_tokens=64, objective="all-tokens")
    preview, report = dry_run(inputs, wanted, context), train.run(inputs, wanted, context)
    assert (preview.rows, preview.rejected, preview.window, preview.lengths.most) == (2, (), 64, 64)
    assert preview.sequences > 10
    assert (preview.steps, preview.tokens, preview.computed_tokens) == (
        report.steps,
        report.tokens,
        report.distinct_tokens,
    )
    assert {one.place.file for one in preview.examples} == {"made.txt"}


def test_a_dry_run_does_not_change_a_later_run(store: Store) -> None:
    alone, other = store("alone", questions()), store("after", questions())
    wanted = settings(method="lora", rank=2, validation=0.2, checkpoint_every=1)
    noise = torch.get_rng_state()
    dry_run(other[0], wanted, other[1])
    assert torch.equal(torch.get_rng_state(), noise)
    assert not (other[1].store.folder / "work").exists()
    assert train.run(other[0], wanted, other[1]).digest() == train.run(alone[0], wanted, alone[1]).digest()


def test_the_same_inputs_give_the_same_preview(store: Store) -> None:
    inputs, context = store("one", questions())
    one, two = (dry_run(inputs, settings(), context) for _ in range(2))
    assert one.digest() == two.digest()
    assert TrainPreview.from_bytes(one.canonical()) == one
    assert dry_run(inputs, settings(epochs=1), context).digest() != one.digest()


def test_time_is_scaled_from_the_largest_micro_batch(store: Store) -> None:
    inputs, context = store("one", questions())

    class Ticks:
        read = 0.0

        def seconds(self) -> float:
            self.read += 2.0
            return self.read

    preview = dry_run(inputs, settings(), replace(context, clock=Ticks()))
    measured = preview.measured
    assert measured["pass_seconds"] == 2.0
    assert measured["training_seconds"] == pytest.approx(
        2.0 * preview.computed_tokens / measured["pass_tokens"], abs=1e-3
    )
    assert 60 < measured["pass_tokens"] <= 150
    assert measured["activation_bytes"] > measured["pass_tokens"] * 32 * 4
    assert measured["threads"] == torch.get_num_threads()


def test_tokens_per_step_are_counted_with_and_without_sharing(store: Store) -> None:
    inputs, context = store("one", questions())
    setup = set_up_training(inputs, settings(), context)
    preview = dry_run(inputs, settings(), context)
    steps = [setup.rows_of_step(step) for step in range(len(setup.steps))]
    sizes = sorted(sum(len(one.ids) for one in rows) for rows in steps)
    assert (preview.step_tokens.least, preview.step_tokens.most, sum(sizes)) == (sizes[0], sizes[-1], preview.tokens)
    assert preview.epoch_tokens == sum(len(one.ids) for one in setup.rows)
    prefixes = [{one.ids[: end + 1] for one in rows for end in range(len(one.ids))} for rows in steps]
    assert preview.distinct_tokens == sum(len(found) for found in prefixes) == sum(map(count_distinct_tokens, steps))
    assert preview.distinct_tokens <= preview.computed_tokens < preview.tokens


def test_shown_rows_match_the_marked_rows_of_the_report(store: Store) -> None:
    inputs, context = store("one", questions())
    shown = dry_run(inputs, settings(), context).examples
    marks = train.run(inputs, settings(max_steps=1), context).mask_sample
    text = "".join(f"[[{piece.text}]]" if piece.weight else piece.text for piece in shown[0].pieces)
    assert text == marks[0]
    assert text.endswith("<|assistant|>[[home<|end|>]]")
    assert [one.place.line for one in shown] == [1, 21]  # the first, which has the least to train on, and the longest
    assert shown[1].tokens == max(one.tokens for one in shown)


def test_all_rejected_rows_are_listed(store: Store) -> None:
    rows = questions(6)
    rows[1] = row(1, "long " * 300, "on Friday")
    rows[3] = row(3, "<|end|>")
    rows[4] = Row(row_id="4" * 16, file="made.jsonl", line=5, example=Example(messages=(message("user", "hello"),)))
    inputs, context = store("one", rows)
    preview = dry_run(inputs, settings(), context)
    assert [(one.place.line, one.reason.split(": ")[-1]) for one in preview.rejected] == [
        (2, preview.rejected[0].reason),
        (4, "a message spells the control token <|end|>"),
        (5, "no assistant turn, so nothing would be trained"),
    ]
    assert (preview.rows, preview.sequences) == (6, 3)
    long = preview.rejected[0]
    assert long.reason == f"row {1:016x} has {long.tokens} tokens; the context holds 256"
    assert (preview.window, long.lost) == (256, long.tokens - 256)
    assert 3 <= long.lost_trained < long.lost
    assert (preview.rejected[1].tokens, preview.rejected[1].lost) == (None, 0)
    with pytest.raises(DataError) as caught:
        train.run(inputs, settings(), context)
    places = "made.jsonl:2, made.jsonl:4, made.jsonl:5"
    assert caught.value.what == f"3 rows cannot be trained on: {places}; the first: {long.reason}"


def test_lost_tokens_of_a_row_whose_answer_is_too_long(store: Store) -> None:
    inputs, context = store("one", [row(0, "short"), row(1, "short", "very " * 300)])
    long = dry_run(inputs, settings(), context).rejected[0]
    assert long.lost == long.lost_trained > 40


def test_rejecting_every_row_is_an_error(store: Store) -> None:
    inputs, context = store("one", [row(number, "<|end|>") for number in range(3)])
    with pytest.raises(
        DataError, match="none of the 3 rows can be trained on; the first: row 0{16}: a message"
    ) as caught:
        dry_run(inputs, settings(), context)
    assert caught.value.where == "made.jsonl:1"


class Silent:
    """A task that encodes rows without any supervised token, or without any token."""

    def __init__(self, pieces: list[EncodedSequence]) -> None:
        self.pieces = pieces

    def encode(self, one: Row, tokenizer: Any, **limits: Any) -> list[EncodedSequence]:
        return [EncodedSequence(one.row_id, (1, 2, 3), ((1, 3),))] if one.line == 1 else self.pieces


@pytest.mark.parametrize(
    "pieces", [[], [EncodedSequence("a", (1, 2, 3), ())], [EncodedSequence("a", (1, 2, 3), ((0, 1),))]]
)
def test_a_row_without_supervised_tokens_is_rejected(pieces: list[EncodedSequence]) -> None:
    encoder = TaskEncoder(Silent(pieces), None, 9, "completion")
    kept, rejected = encode_rows([row(0, "a"), row(1, "b")], encoder)
    assert [one.row_id for one in kept] == [f"{0:016x}"]
    assert [(one.place.row_id, one.reason) for one in rejected] == [
        (f"{1:016x}", f"row {1:016x} has no token to train on")
    ]
    with pytest.raises(DataError, match=f"row {1:016x} has no token to train on") as caught:
        encode_rows([row(0, "a"), row(1, "b")], encoder, strict=True)
    assert caught.value.where == "made.jsonl:2"


class Letters:
    """A tokenizer whose ids are letters."""

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(97 + one) for one in ids)


@pytest.mark.parametrize(
    ("spans", "weights", "expected"),
    [
        (((2, 4),), (), [("ab", 0), ("cd", 1), ("ef", 0)]),
        (((0, 6),), (), [("a", 0), ("bcdef", 1)]),
        (((1, 2), (4, 6)), (0.5, 2.0), [("a", 0), ("b", 0.5), ("cd", 0), ("ef", 2.0)]),
        (((1, 3), (3, 6)), (), [("a", 0), ("bc", 1), ("def", 1)]),
    ],
)
def test_parts_have_the_weight_of_their_span(spans: Any, weights: Any, expected: Any) -> None:
    row, place = EncodedSequence("r", tuple(range(6)), spans, 0, weights), Place(row_id="r", file="f", line=1)
    shown = show_row(row, place, task=DecoderTask(TaskSettings(type="chat")), tokenizer=Letters())
    assert [(piece.text, piece.weight) for piece in shown.pieces] == expected
    assert shown.trained == sum(len(text) for text, weight in expected if weight)


def test_quantiles_are_values_of_the_data() -> None:
    assert length_summary([7]) == Lengths(least=7, median=7, p95=7, most=7, bins=(Bin(low=7, high=7, count=1),))
    summary = length_summary([30, 10, 20, 40])
    assert (summary.least, summary.median, summary.p95, summary.most) == (10, 20, 40, 40)
    hundred = length_summary(list(range(1, 101)))
    assert (hundred.median, hundred.p95) == (50, 95)
    assert hundred.bins == tuple(Bin(low=low, high=low + 9, count=10) for low in range(1, 101, 10))


@pytest.mark.parametrize("values", [[1, 1, 1], [3, 14], [5, 6, 100], list(range(37)), [0, 10]])
def test_every_value_is_in_exactly_one_bin(values: list[int]) -> None:
    bins = length_summary(values).bins
    assert len(bins) <= 10
    assert [one.count for one in bins] == [sum(one.low <= value <= one.high for value in values) for one in bins]
    assert sum(one.count for one in bins) == len(values)
    assert (bins[0].low, bins[-1].high) == (min(values), max(values))
    assert all(two.low == one.high + 1 for one, two in pairwise(bins))
