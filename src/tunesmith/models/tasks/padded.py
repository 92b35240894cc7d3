"""Rows of an encoder side by side: of like length, padded at the end, the padding masked.

The model's own forward runs on them, so what is computed is what transformers computes for each row alone, within rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Row
from tunesmith.chat.answer_spans import row_error
from tunesmith.errors import DataError, Misuse

BATCH_COST_TOKENS: Final = 64
"""What one more pass costs, in tokens of padding: below it one wide pass is cheaper than two (two CPU cores, 6 layers of 384)."""

MAX_RELATIVE_DIFFERENCE: Final = {torch.float32: 1e-4, torch.float64: 1e-9}
MAX_RELATIVE_DIFFERENCE_HALF: Final = 5e-2
"""Largest relative difference between a row's logits beside a longer one and alone; the second one in half precision."""


@dataclass(frozen=True)
class EncoderRow:
    """Tokens of one row and what is to be predicted from them.

    `targets`: one number of a class, for every token in `places`, or for the whole row where there are none; a number of 0 or 1
    for every label; or a score. `words`: of a row of tagged words, which word each place belongs to; `count`: how many words.
    """

    row_id: str
    ids: tuple[int, ...]
    targets: tuple[float, ...]
    places: tuple[int, ...] = ()
    words: tuple[int, ...] = ()
    count: int = 0
    first_token: int = 0

    @property
    def sides(self) -> tuple[int, ...]:
        return (len(self.ids),)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        return tuple((place, place + 1) for place in self.places)

    @property
    def supervised(self) -> int:
        """Predictions that are trained: the tokens with a tag, or the row."""
        return len(self.places) or min(1, len(self.targets))

    @property
    def weight(self) -> float:
        return float(self.supervised)


@dataclass(frozen=True)
class PaddedBatch:
    """`ids` and `mask` [B, L] int64, 0 behind a row's end in both; `lines` and `columns` [S]: where the predictions stand.

    `targets`: [B] or [S] int64 classes, [B, C] fp32 labels, or [B] fp32 scores. `tokens` counts padding too.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    lines: torch.Tensor
    columns: torch.Tensor
    targets: torch.Tensor

    @property
    def tokens(self) -> int:
        return self.ids.numel()


def split_padded(lengths: Sequence[int], tokens_per_pass: int) -> list[list[int]]:
    """Indices in groups of neighbouring lengths, such that padding and passes together cost least; see `split_pairs`."""
    order = sorted(range(len(lengths)), key=lambda at: (lengths[at], at))
    return _groups_of(order, _cheapest_split([(lengths[at], 0) for at in order], tokens_per_pass)[1])


def split_two_sided(sizes: Sequence[tuple[int, int]], tokens_per_pass: int) -> list[list[int]]:
    """Indices of rows with two sides in groups; each side is padded to the longest one of its group.

    By dynamic programming over the rows in an order: exact for rows of one side in the order of their lengths. For two sides
    they are put in order of both together, of the first and of the second, and the cheapest of the three ways is taken. A group
    has at most `tokens_per_pass` tokens with its padding; a longer single row is a group of its own.
    """
    places = range(len(sizes))
    orders = [
        sorted(places, key=lambda at: (sum(sizes[at]), sizes[at], at)),
        sorted(places, key=lambda at: (sizes[at], at)),
        sorted(places, key=lambda at: (sizes[at][::-1], at)),
    ]
    ways = [_cheapest_split([sizes[at] for at in order], tokens_per_pass) for order in orders]
    best = min(range(len(orders)), key=lambda way: ways[way][0])
    return _groups_of(orders[best], ways[best][1])


def _groups_of(order: Sequence[int], starts: Sequence[int]) -> list[list[int]]:
    """The groups of a way: `starts` has for every end, from 0 on, where the group that ends there begins."""
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(list(order[starts[end] : end]))
        end = starts[end]
    return groups[::-1]


def _cheapest_split(sizes: Sequence[tuple[int, int]], tokens_per_pass: int) -> tuple[float, list[int]]:
    """The cost of the cheapest way to cut rows that stand in order, and for every end where its group begins."""
    cost: list[float] = [0.0]
    starts = [0]
    for end in range(1, len(sizes) + 1):
        first, second = 0, 0
        least, best = float("inf"), end - 1
        for count, start in enumerate(range(end - 1, -1, -1), 1):
            one, other = sizes[start]
            first, second = one if one > first else first, other if other > second else second
            tokens = count * ((first + second) or 1)
            if tokens > tokens_per_pass and count > 1:
                break
            if (found := cost[start] + tokens) <= least:
                least, best = found, start
        cost.append(least + BATCH_COST_TOKENS)
        starts.append(best)
    return cost[-1], starts


def padded_tokens(lengths: Sequence[int]) -> int:
    """Tokens of a group with its padding."""
    return len(lengths) * max(lengths, default=0)


def pad(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """ids and mask [B, L] int64."""
    longest = max(map(len, rows), default=0)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], dtype=torch.int64, device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, (torch.arange(longest, device=device) < lengths[:, None]).to(torch.int64)


def pad_rows(rows: Sequence[EncoderRow], targets: torch.Tensor, device: torch.device) -> PaddedBatch:
    """The rows as one batch."""
    ids, mask = pad([row.ids for row in rows], device)
    cells = [(line, column) for line, row in enumerate(rows) for column in row.places]
    lines, columns = torch.tensor(cells, dtype=torch.int64, device=device).reshape(-1, 2).T
    return PaddedBatch(ids, mask, lines, columns, targets.to(device))


def padded_logits(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The model's own logits in fp32 (fp64 for a model in fp64): [B, C] of whole rows, [B, L, C] of tokens."""
    padding = model.config.pad_token_id
    filled = ids.masked_fill(mask == 0, 0 if padding is None else padding)
    logits: torch.Tensor = model(input_ids=filled, attention_mask=mask).logits
    return logits if logits.dtype == torch.float64 else logits.float()


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text with the tokens that the tokenizer puts around it; a special token that it spells is letters like any."""
    return list(tokenizer.encode(text, split_special_tokens=True))


def check_length(row: Row, ids: Sequence[int], window: int, *, what: str = "") -> None:
    """Raises DataError for a row, or the part that `what` names, beyond `window` tokens; rows are never cut silently."""
    if len(ids) > window:
        raise DataError(
            f"row {row.row_id} has {what}{len(ids)} tokens; the context holds {window}",
            where=f"{row.file}:{row.line}",
            hint="shorten the row, raise train.max_tokens, or drop it in the audit",
        )


def check_has_tokens(row: Row, text: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises DataError for a text that the tokenizer leaves nothing of, as of control characters."""
    if not tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True):
        raise row_error(row, "the tokenizer leaves nothing of the text")


def check_no_weight(row: Row) -> None:
    """Raises DataError for an answer with a weight of its own: here every row counts alike."""
    if any(turn.weight not in (None, 1) for turn in row.example.messages):
        raise row_error(
            row, "the answer has a weight, and every row counts alike", "leave `weight` out, or drop the row"
        )


def encoder_text(row: Row) -> str:
    """What an encoder reads of a row: its text, or its conversation up to the answer. Raises DataError where there is none."""
    text = row.example.prompt_text
    if not text.strip():
        raise row_error(row, "the text is empty")
    return text


def check_padding(model: Any, rows: Sequence[Sequence[int]], *, where: str) -> None:
    """Raises Misuse when a row's logits change with the row beside it by more than rounding, DataError for NaN.

    `rows`: ordinary rows in the model's own tokens, two or more of different lengths.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad():
        together = padded_logits(model, *pad(rows, device))
        alone = [padded_logits(model, *pad([row], device))[0] for row in rows]
    model.train(training)
    parts = [mine[: len(row)] if own.ndim == 2 else mine for row, mine, own in zip(rows, together, alone, strict=True)]
    check_same_logits(model, parts, alone, lengths=[len(row) for row in rows], where=where)


def check_same_logits(
    model: Any,
    together: Sequence[torch.Tensor],
    alone: Sequence[torch.Tensor],
    *,
    lengths: Sequence[int],
    where: str,
) -> None:
    """Raises Misuse when the logits of some row, of so many tokens, differ by more than rounding from what it has alone."""
    bound = MAX_RELATIVE_DIFFERENCE.get(next(model.parameters()).dtype, MAX_RELATIVE_DIFFERENCE_HALF)
    for length, mine, own in zip(lengths, together, alone, strict=True):
        if not own.isfinite().all():
            hint = "its weights are broken, or its training has diverged"
            raise DataError("the model's own logits are not numbers", where=where, hint=hint)
        apart = float((mine - own).norm()) / max(float(own.norm()), 1e-6)
        if not apart <= bound:
            raise Misuse(
                f"a {model.config.model_type} model gives a row of {length} tokens other logits beside a longer row than "
                f"alone: {apart:.1e} apart, {bound:.0e} is allowed",
                where=where,
                hint="give a base that masks padding",
            )


def shortest_and_longest(pieces: Sequence[EncoderRow]) -> list[tuple[int, ...]]:
    """The shortest and the longest of some rows, to try a model on; where all have one length, one is made shorter by a token."""
    ordered = sorted(pieces, key=lambda piece: len(piece.ids))
    short, long = ordered[0].ids, ordered[-1].ids
    if len(short) == len(long) and len(short) > 2:
        short = (*short[:-2], short[-1])
    return [short, long]
