"""How much arithmetic a step must do at least, for the share of a card's matrix peak that is reached."""

from collections.abc import Sequence

from training.models import SHAPES
from tunesmith.data.chat import Encoded

MATRIX_PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bf16 FLOP a second, from NVIDIA's data sheets (SXM forms)."""

LAYERS, HEADS, KEYS, HEAD_DIM, VOCABULARY = 28, 16, 8, 128, 151_936


def peak_of(name: str) -> float | None:
    """The peak of a card by its name, or None when it is not in the table."""
    return next((peak for part, peak in MATRIX_PEAKS.items() if part in name), None)


def distinct(rows: Sequence[Encoded]) -> tuple[int, int]:
    """Tokens and (query, key) pairs when everything that rows share is computed once: the nodes of their trie."""
    tokens = pairs = 0
    before: tuple[int, ...] = ()
    for ids in sorted(row.ids for row in rows):
        common = next(
            (at for at, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), min(len(before), len(ids))
        )
        tokens += len(ids) - common
        pairs += (len(ids) * (len(ids) + 1) - common * (common + 1)) // 2
        before = ids
    return tokens, pairs


def separate(rows: Sequence[Encoded]) -> tuple[int, int]:
    """Tokens and pairs when every row is computed by itself; padding is not counted."""
    lengths = [len(row.ids) for row in rows]
    return sum(lengths), sum(length * (length + 1) // 2 for length in lengths)


def flop_of_step(model: str, method: str, *, counts: tuple[int, int], supervised: int) -> float | None:
    """FLOP of forward and backward: 2 a parameter and token forward, 2 for the inputs' gradient, 2 for the weights' when they
    train; 12 for each pair, head dimension and head; the head on supervised tokens alone. None for a shape that has no entry."""
    if model not in SHAPES:
        return None
    hidden, inner = SHAPES[model]["hidden_size"], SHAPES[model]["intermediate_size"]
    layer = hidden * HEAD_DIM * (2 * HEADS + 2 * KEYS) + 3 * hidden * inner
    each = 6 if method == "full" else 4
    tokens, pairs = counts
    return each * (LAYERS * layer * tokens + hidden * VOCABULARY * supervised) + 12 * LAYERS * HEADS * HEAD_DIM * pairs
