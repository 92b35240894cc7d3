"""Padded batches for encoders: rows of similar length, padded at the end, with a padding mask.

The model's own forward runs on them, so each row gets what transformers computes for it alone, up to rounding.
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
"""Overhead of one more batch, in tokens of padding (measured on two CPU cores, 6 layers of size 384)."""

MAX_RELATIVE_DIFFERENCE: Final = {torch.float32: 1e-4, torch.float64: 1e-9}
MAX_RELATIVE_DIFFERENCE_HALF: Final = 5e-2
"""Largest relative difference between a row's logits next to a longer row and alone, in half precision."""


@dataclass(frozen=True)
class EncoderRow:
    """Tokens of one row and its targets."""

    row_id: str
    ids: tuple[int, ...]

    targets: tuple[float, ...]
    """A class number for the row, or for each token in `positions`; or 0 and 1 for each label; or a score."""

    positions: tuple[int, ...] = ()
    """Positions of the tagged tokens; none if the prediction is for the whole row."""

    words: tuple[int, ...] = ()
    """The number of the word of each tagged token."""

    count: int = 0
    """How many words a tagged row has."""

    first_token: int = 0

    @property
    def sides(self) -> tuple[int, ...]:
        return (len(self.ids),)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        return tuple((position, position + 1) for position in self.positions)

    @property
    def supervised(self) -> int:
        """Number of trained predictions: the tagged tokens, or 1 for the row."""
        return len(self.positions) or min(1, len(self.targets))

    @property
    def weight(self) -> float:
        return float(self.supervised)


@dataclass(frozen=True)
class PaddedBatch:
    """Rows of at most L tokens, padded at the end."""

    ids: torch.Tensor
    """[rows, L] int64, 0 at padding."""

    mask: torch.Tensor
    """[rows, L] int64: 1 at tokens, 0 at padding."""

    row_index: torch.Tensor
    """[S] int64: the row of each tagged token."""

    position_index: torch.Tensor
    """[S] int64: its position in the row."""

    targets: torch.Tensor
    """[rows] or [S] int64 classes, [rows, labels] fp32, or [rows] fp32 scores."""

    @property
    def tokens(self) -> int:
        """Tokens including padding."""
        return self.ids.numel()


def split_padded(lengths: Sequence[int], tokens_per_pass: int) -> list[list[int]]:
    """Row numbers in groups of similar length, such that padding and overhead per batch cost least; see `split_two_sided`."""
    order = sorted(range(len(lengths)), key=lambda at: (lengths[at], at))
    return _groups_of(order, _cheapest_split([(lengths[at], 0) for at in order], tokens_per_pass)[1])


def split_two_sided(sizes: Sequence[tuple[int, int]], tokens_per_pass: int) -> list[list[int]]:
    """Row numbers in groups, for rows with two sides (source and target) that are padded separately.

    A group has at most `tokens_per_pass` tokens, padding included; a longer single row is a group of its own. Rows are sorted
    and cut by dynamic programming. That is optimal for one side sorted by length. For two sides, three orders are tried (by
    the sum, the first and the second side) and the cheapest split is returned.
    """
    numbers = range(len(sizes))
    orders = [
        sorted(numbers, key=lambda at: (sum(sizes[at]), sizes[at], at)),
        sorted(numbers, key=lambda at: (sizes[at], at)),
        sorted(numbers, key=lambda at: (sizes[at][::-1], at)),
    ]
    splits = [_cheapest_split([sizes[at] for at in order], tokens_per_pass) for order in orders]
    best = min(range(len(orders)), key=lambda number: splits[number][0])
    return _groups_of(orders[best], splits[best][1])


def _groups_of(order: Sequence[int], starts: Sequence[int]) -> list[list[int]]:
    """The groups of a split. `starts[end]` is where the group that ends at `end` begins."""
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(list(order[starts[end] : end]))
        end = starts[end]
    return groups[::-1]


def _cheapest_split(sizes: Sequence[tuple[int, int]], tokens_per_pass: int) -> tuple[float, list[int]]:
    """The cost of the cheapest split of sorted rows, and for every end where its group begins."""
    cost: list[float] = [0.0]
    starts = [0]
    for end in range(1, len(sizes) + 1):
        longest_first, longest_second = 0, 0
        least, best = float("inf"), end - 1
        for count, start in enumerate(range(end - 1, -1, -1), 1):
            first, second = sizes[start]
            longest_first = first if first > longest_first else longest_first  # the innermost loop: faster than max()
            longest_second = second if second > longest_second else longest_second
            tokens = count * ((longest_first + longest_second) or 1)
            if tokens > tokens_per_pass and count > 1:
                break
            if (total := cost[start] + tokens) <= least:
                least, best = total, start
        cost.append(least + BATCH_COST_TOKENS)
        starts.append(best)
    return cost[-1], starts


def padded_tokens(lengths: Sequence[int]) -> int:
    """Tokens of a group, padding included."""
    return len(lengths) * max(lengths, default=0)


def pad(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """ids and mask [rows, L] int64; see `PaddedBatch`."""
    longest = max(map(len, rows), default=0)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], dtype=torch.int64, device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, (torch.arange(longest, device=device) < lengths[:, None]).to(torch.int64)


def pad_rows(rows: Sequence[EncoderRow], targets: torch.Tensor, device: torch.device) -> PaddedBatch:
    """Pack rows into one padded batch."""
    ids, mask = pad([row.ids for row in rows], device)
    tagged = [(number, position) for number, row in enumerate(rows) for position in row.positions]
    row_index, position_index = torch.tensor(tagged, dtype=torch.int64, device=device).reshape(-1, 2).T
    return PaddedBatch(ids, mask, row_index, position_index, targets.to(device))


def padded_logits(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The model's own logits, [rows, labels] or [rows, L, labels], in fp32 (fp64 for a model in fp64)."""
    padding = model.config.pad_token_id
    filled = ids.masked_fill(mask == 0, 0 if padding is None else padding)
    logits: torch.Tensor = model(input_ids=filled, attention_mask=mask).logits
    return logits if logits.dtype == torch.float64 else logits.float()


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a text with the special tokens around it. Special tokens spelled out in it are encoded as plain text."""
    return list(tokenizer.encode(text, split_special_tokens=True))


def check_length(row: Row, ids: Sequence[int], window: int, *, what: str = "") -> None:
    """Raises DataError if a row, or the part named `what`, has more than `window` tokens. Rows are never truncated silently."""
    if len(ids) > window:
        raise DataError(
            f"row {row.row_id} has {what}{len(ids)} tokens; the context holds {window}",
            where=f"{row.file}:{row.line}",
            hint="shorten the row, raise train.max_tokens, or drop it in the audit",
        )


def check_has_tokens(row: Row, text: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises DataError for a text that the tokenizer encodes as no tokens, e.g. control characters."""
    if not tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True):
        raise row_error(row, "the tokenizer leaves nothing of the text")


def check_no_weight(row: Row) -> None:
    """Raises DataError for an answer with a weight: here all rows have the same weight."""
    if any(turn.weight not in (None, 1) for turn in row.example.messages):
        raise row_error(
            row, "the answer has a weight, and every row counts alike", "leave `weight` out, or drop the row"
        )


def encoder_text(row: Row) -> str:
    """What an encoder reads of a row: its text, or its conversation up to the answer. Raises DataError if that is empty."""
    text = row.example.prompt_text
    if not text.strip():
        raise row_error(row, "the text is empty")
    return text


def check_padding(model: Any, rows: Sequence[Sequence[int]], *, where: str) -> None:
    """Raises Misuse if a row's logits depend on the other rows of its batch beyond rounding, DataError if they are NaN.

    `rows` are two or more ordinary rows of different lengths, as token ids.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad():
        together = padded_logits(model, *pad(rows, device))
        alone = [padded_logits(model, *pad([row], device))[0] for row in rows]
    model.train(training)
    parts = [
        logits[: len(row)] if expected.ndim == 2 else logits  # tagged rows: without padding
        for row, logits, expected in zip(rows, together, alone, strict=True)
    ]
    check_same_logits(model, parts, alone, lengths=[len(row) for row in rows], where=where)


def check_same_logits(
    model: Any,
    together: Sequence[torch.Tensor],
    alone: Sequence[torch.Tensor],
    *,
    lengths: Sequence[int],
    where: str,
) -> None:
    """Raises Misuse if a row's logits in a batch differ from those of the row alone beyond rounding, DataError for NaN.

    `lengths` are the tokens of each row.
    """
    bound = MAX_RELATIVE_DIFFERENCE.get(next(model.parameters()).dtype, MAX_RELATIVE_DIFFERENCE_HALF)
    for length, logits, expected in zip(lengths, together, alone, strict=True):
        if not expected.isfinite().all():
            hint = "its weights are damaged, or its training diverged; use another base or an earlier release"
            raise DataError("the model's own logits are NaN or infinite", where=where, hint=hint)
        difference = float((logits - expected).norm()) / max(float(expected.norm()), 1e-6)
        if not difference <= bound:
            raise Misuse(
                f"a {model.config.model_type} model computes a row of {length} tokens differently in a padded batch: "
                f"logits differ by {difference:.1e} (limit {bound:.0e})",
                where=where,
                hint="set `base` to a model that masks padding",
            )


def shortest_and_longest(pieces: Sequence[EncoderRow]) -> list[tuple[int, ...]]:
    """The shortest and the longest row, to check a model with; if all have one length, one of them loses a token."""
    ordered = sorted(pieces, key=lambda piece: len(piece.ids))
    short, long = ordered[0].ids, ordered[-1].ids
    if len(short) == len(long) and len(short) > 2:
        short = (*short[:-2], short[-1])
    return [short, long]
