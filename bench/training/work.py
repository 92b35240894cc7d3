"""How much arithmetic a step must do at least, and the rate at which this device multiplies matrices of the model's shapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import torch

from training.arms import RANK, Job
from tunesmith.chat.encode import EncodedSequence

MATRIX_PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bf16 FLOP a second, from NVIDIA's data sheets (SXM forms)."""

TIMED_TOKENS, TIMED_ROUNDS = 2048, 7
"""Rows of the product that is timed on a CPU, and how often; the quickest counts."""


@dataclass(frozen=True)
class Shape:
    """A decoder with gated feed-forwards and tied embeddings."""

    hidden: int
    inner: int
    layers: int
    heads: int
    keys: int
    head_dim: int
    vocabulary: int

    @property
    def linears(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of the linear layers of one layer."""
        wide, narrow = self.heads * self.head_dim, self.keys * self.head_dim
        attention = ((self.hidden, wide), (self.hidden, narrow), (self.hidden, narrow), (wide, self.hidden))
        return (*attention, (self.hidden, self.inner), (self.hidden, self.inner), (self.inner, self.hidden))


SHAPES = {
    "smollm2-135m": Shape(576, 1536, 30, 9, 3, 64, 49_152),
    "qwen3-0.6b": Shape(1024, 3072, 28, 16, 8, 128, 151_936),
    "qwen3-1.7b": Shape(2048, 6144, 28, 16, 8, 128, 151_936),
}
"""config.json of HuggingFaceTB/SmolLM2-135M, Qwen/Qwen3-0.6B and -1.7B."""


def peak_of(name: str) -> float | None:
    """The peak of a card by its name, or None when it is not in the table."""
    return next((peak for part, peak in MATRIX_PEAKS.items() if part in name), None)


def timed_peak(job: Job) -> float | None:
    """FLOP a second of the quickest matrix product of the model's shapes in the job's precision and threads, on a CPU."""
    if job.model not in SHAPES:
        return None
    dtype = torch.bfloat16 if job.precision == "bf16" else torch.float32
    best = 0.0
    for wide, out in set(SHAPES[job.model].linears):
        x, weight = torch.randn(TIMED_TOKENS, wide).to(dtype), torch.randn(out, wide).to(dtype)
        for _ in range(TIMED_ROUNDS):
            began = perf_counter()
            torch.nn.functional.linear(x, weight)
            best = max(best, 2.0 * TIMED_TOKENS * wide * out / (perf_counter() - began))
    return best


def distinct(rows: Sequence[EncodedSequence]) -> tuple[int, int]:
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


def separate(rows: Sequence[EncodedSequence]) -> tuple[int, int]:
    """Tokens and pairs when every row is computed by itself; padding is not counted."""
    lengths = [len(row.ids) for row in rows]
    return sum(lengths), sum(length * (length + 1) // 2 for length in lengths)


def flop_of_step(model: str, method: str, *, counts: tuple[int, int], supervised: int) -> float | None:
    """FLOP of forward and backward; None for a model that has no entry in `SHAPES`.

    A token and weight of the linear layers: 2 forward, 2 for the input's gradient, 2 for the weight's where it trains; LoRA's
    factors train. The head likewise, on supervised tokens alone. 12 for each pair, head and head dimension: two products
    forward, four backward. What is computed twice, padding, and everything that is no matrix product count nothing.
    """
    if model not in SHAPES:
        return None
    shape = SHAPES[model]
    each = 6 if method == "full" else 4
    layer = each * sum(n * m for n, m in shape.linears)
    if method == "lora":
        layer += 6 * RANK * sum(n + m for n, m in shape.linears)
    tokens, pairs = counts
    head = each * shape.hidden * shape.vocabulary * supervised
    return shape.layers * (layer * tokens + 12 * shape.heads * shape.head_dim * pairs) + head
