"""Compare logits with those of a model's own forward, within the rounding of that model.

The truth is transformers' eager attention. How large rounding errors are depends on the model, its precision and the token: in
bf16, eager attention and SDPA of one real model differ by 2% at most tokens and by 12% at some. So eager attention and SDPA are
both run on the same rows, and each position is allowed a multiple of their difference there. If a family has no SDPA (which
supports neither soft caps nor sinks), wider fixed bounds apply.

Differences are relative: |a - b| / |b| over the logits of one position.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from inspect import signature
from itertools import groupby
from typing import Any, Final

import torch

from tunesmith.errors import DataError

TokenIds = tuple[int, ...]

MAX_RATIO_PER_POSITION: Final = 8.0
"""A position may differ by this multiple of the eager-SDPA difference there, or of its median if that is larger."""

MAX_MEDIAN_RATIO: Final = 1.5
MEDIAN_RATIO_SPREAD: Final = 6.0
"""The median of n positions may differ by 1.5 + 6 / sqrt(n) times the median eager-SDPA difference: this finds errors that are
small but everywhere. The second term is the uncertainty of a median of few positions.

Measured on a 135M model with an adapter, shared prefixes, 336 positions: the largest ratio of a position was 4.8 in fp16, 4.4 in
bf16 and 2.1 in fp32, that of the median 1.1, 1.1 and 1.0."""

ROUNDING_FLOOR: Final = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""A relative difference that is always rounding."""

BOUND_WITHOUT_SDPA: Final = {torch.float64: 1e-8, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Bound of a position for a model without SDPA; the median is allowed `MEDIAN_SHARE_WITHOUT_SDPA` of it."""

MEDIAN_SHARE_WITHOUT_SDPA: Final = 0.25

MAX_SDPA_MEDIAN: Final = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 5e-2, torch.bfloat16: 0.25}
"""If eager attention and SDPA differ by more than this in the median, one of them does not compute the model: SDPA is ignored."""

MAX_OUTLIER_SHARE: Final = 0.05
"""Share of positions of a mixture of experts that may exceed their bound: at a near tie, rounding selects another expert."""

MAX_LOGITS_IN_MEMORY: Final = 2**24
"""Logits compared at once, over all rows."""


@dataclass(frozen=True)
class ReferenceLogits:
    """A model's own logits at some positions of each row."""

    positions: tuple[tuple[int, ...], ...]

    logits: tuple[torch.Tensor, ...]
    """Per row [p, vocabulary], fp32 or wider, by eager attention."""

    sdpa_differences: tuple[torch.Tensor, ...] | None
    """Per row [p]: relative difference between SDPA and eager attention; None without SDPA."""

    sdpa_median: float
    """Median of all `sdpa_differences`; 0 without SDPA."""

    dtype: torch.dtype

    max_outlier_share: float
    """Share of positions that may exceed their bound."""

    def at(self, chosen: Sequence[Sequence[int]]) -> "ReferenceLogits":
        """The same at some of the positions of each row."""
        picks = [
            [positions.index(position) for position in row]
            for positions, row in zip(self.positions, chosen, strict=True)
        ]
        differences = self.sdpa_differences
        if differences is not None:
            differences = tuple(values[pick] for values, pick in zip(differences, picks, strict=True))
        logits = tuple(values[pick] for values, pick in zip(self.logits, picks, strict=True))
        return replace(self, positions=tuple(map(tuple, chosen)), logits=logits, sdpa_differences=differences)


@dataclass(frozen=True)
class Agreement:
    """How far logits differ from a model's own, and how far they may: at the worst position and in the median.

    The worst position is the one with the largest difference in proportion to its bound. `row` and `position` count from 1.
    `outliers` of the `positions` compared exceed their bound, which only a mixture of experts may have.
    """

    worst: float
    bound: float
    row: int
    position: int
    median: float
    median_bound: float
    positions: int
    outliers: int
    agrees: bool

    def describe(self) -> str:
        """The figures as a clause, e.g. for an error message."""
        return (
            f"logits differ by {self.worst:.2g} at token {self.position} of probe row {self.row} (limit {self.bound:.2g}) "
            f"and by {self.median:.2g} in the median of {self.positions} positions (limit {self.median_bound:.2g})"
        )


def compared_positions(rows: Sequence[TokenIds], vocabulary: int) -> tuple[tuple[int, ...], ...]:
    """The positions of each row to compare: all, or as many as memory allows, half of them at the end."""
    most = max(8, MAX_LOGITS_IN_MEMORY // (vocabulary * len(rows)))
    return tuple(_spread_positions(len(row), most) for row in rows)


def reference_logits(causal: Any, rows: Sequence[TokenIds], positions: Sequence[Sequence[int]]) -> ReferenceLogits:
    """Run a causal language model of transformers on its own, row by row, without gradients.

    Its attention implementation stays `eager`. Raises DataError if its logits contain NaN.
    """
    row_positions = [list(row) for row in positions]
    causal.set_attn_implementation("eager")
    eager = _logits_at(causal, rows, row_positions)
    if any(logits.isnan().any() for logits in eager):
        hint = "its weights are damaged, or its training diverged; use another base or an earlier release"
        raise DataError("the model's own logits are NaN", where="base", hint=hint)
    dtype = causal.dtype
    differences = _sdpa_differences(causal, rows, row_positions, eager)
    median = 0.0 if differences is None else float(torch.cat(differences).median())
    if median > _bound_for(MAX_SDPA_MEDIAN, dtype):
        differences, median = None, 0.0
    return ReferenceLogits(
        positions=tuple(map(tuple, row_positions)),
        logits=tuple(eager),
        sdpa_differences=None if differences is None else tuple(differences),
        sdpa_median=median,
        dtype=dtype,
        max_outlier_share=MAX_OUTLIER_SHARE if is_mixture_of_experts(causal) else 0.0,
    )


def compare_logits(logits: Sequence[torch.Tensor], reference: ReferenceLogits) -> Agreement:
    """Compare logits, per row [p, vocabulary] at the reference's positions, with a model's own."""
    pairs = zip(logits, reference.logits, strict=True)
    differences = torch.cat(
        [_relative_difference(row, expected) for row, expected in pairs]
    )  # (positions of all rows,)
    floor = _bound_for(ROUNDING_FLOOR, reference.dtype)
    if reference.sdpa_differences is None:
        fixed = _bound_for(BOUND_WITHOUT_SDPA, reference.dtype)
        bounds = torch.full_like(differences, fixed)
        median_bound = MEDIAN_SHARE_WITHOUT_SDPA * fixed
    else:
        rounding = torch.cat(reference.sdpa_differences).clamp(min=reference.sdpa_median)
        bounds = (MAX_RATIO_PER_POSITION * rounding).clamp(min=floor)
        ratio = MAX_MEDIAN_RATIO + MEDIAN_RATIO_SPREAD * len(differences) ** -0.5
        median_bound = max(ratio * reference.sdpa_median, floor / 2)
    outliers = int((~(differences <= bounds)).sum())  # counts NaN
    worst = int((differences / bounds).nan_to_num(nan=torch.inf).argmax())
    row, position = [(row, position) for row, some in enumerate(reference.positions) for position in some][worst]
    median = float(differences.median())
    return Agreement(
        worst=float(differences[worst]),
        bound=float(bounds[worst]),
        row=row + 1,
        position=position + 1,
        median=median,
        median_bound=median_bound,
        positions=len(differences),
        outliers=outliers,
        agrees=outliers <= reference.max_outlier_share * len(differences) and median <= median_bound,
    )


def is_mixture_of_experts(causal: Any) -> bool:
    """Whether a model has experts. Each multiplies the tokens that selected it together, so rounding depends on other rows."""
    config = causal.config.get_text_config()
    return any(getattr(config, name, None) for name in ("num_local_experts", "num_experts"))


def _sdpa_differences(
    causal: Any, rows: Sequence[TokenIds], positions: list[list[int]], eager: list[torch.Tensor]
) -> list[torch.Tensor] | None:
    """Per row [p]: relative difference between SDPA and eager attention; None if SDPA cannot compute the model."""
    if getattr(causal.config.get_text_config(), "attn_logit_softcapping", None) is not None:
        return None
    try:
        causal.set_attn_implementation("sdpa")
    except (ValueError, ImportError):
        return None
    sdpa = _logits_at(causal, rows, positions)
    causal.set_attn_implementation("eager")
    return [_relative_difference(row, expected) for row, expected in zip(sdpa, eager, strict=True)]


def _logits_at(causal: Any, rows: Sequence[TokenIds], positions: list[list[int]]) -> list[torch.Tensor]:
    """Per row [p, vocabulary]. Neighbouring rows of one length and the same positions run in one batch, without padding."""
    logits_by_row: list[torch.Tensor] = []
    for (_, some), group in groupby(zip(rows, positions, strict=True), key=lambda pair: (len(pair[0]), pair[1])):
        ids = torch.tensor([row for row, _ in group], device=causal.device)  # (rows, tokens)
        index = torch.tensor(some, device=causal.device)
        can_select = "logits_to_keep" in signature(causal.forward).parameters
        with torch.no_grad():
            output = causal(input_ids=ids, use_cache=False, **({"logits_to_keep": index} if can_select else {}))
        logits = output.logits if can_select else output.logits[:, index]  # (rows, p, vocabulary)
        logits_by_row += [row if row.dtype == torch.float64 else row.float() for row in logits]
    return logits_by_row


def _relative_difference(logits: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """[p] of two [p, vocabulary]: 0 if they are equal, infinite if only `expected` is 0."""
    difference, size = (logits - expected).norm(dim=-1), expected.norm(dim=-1)
    return torch.where(difference == 0, torch.zeros_like(difference), difference / size)


def _spread_positions(length: int, most: int) -> tuple[int, ...]:
    """At most `most` positions of a row: half of them its last ones, the others evenly over the rest."""
    if length <= most:
        return tuple(range(length))
    last = most // 2
    rest = length - last
    return tuple(sorted({at * rest // (most - last) for at in range(most - last)} | set(range(rest, length))))


def _bound_for(bounds: dict[torch.dtype, float], dtype: torch.dtype) -> float:
    return bounds.get(dtype, bounds[torch.float32])
