"""Whether two ways to compute the logits of the same tokens agree, judged by how far a model's own two ways lie apart.

The outside truth is transformers' eager attention. How much of a difference is rounding depends on the model, its precision and
the token: in bf16 eager attention and SDPA of one real model differ by 2% at most tokens and by 12% at some. So both are run on
the same rows, and a place is held to what they differ by there. Where a family has no second way of its own (SDPA knows no soft
cap and no sinks), wider fixed bounds hold.
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
"""At any place at most this many times what the model's own ways differ by there, or at the middle place if that is more."""

MAX_MEDIAN_RATIO: Final = 1.5
MEDIAN_RATIO_SPREAD: Final = 6.0
"""At the middle one of n places (the median) at most 1.5 + 6 / sqrt(n) times what they differ by at theirs: a fault that is
everywhere but small is seen here. Of few places the middle is uncertain.

Measured on a 135M model with an adapter, shared prefixes, 336 places: FACTOR came to 4.8 in fp16, 4.4 in bf16 and 2.1 in fp32,
the middle to 1.1, 1.1 and 1.0."""

ROUNDING_FLOOR: Final = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""A relative difference that is always rounding."""

BOUND_WITHOUT_SDPA: Final = {torch.float64: 1e-8, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""The bound of a place, and with `MIDDLE_SHARE` of the middle one, for a model that has no second way of its own."""

MEDIAN_SHARE_WITHOUT_SDPA: Final = 0.25

MAX_SDPA_MEDIAN: Final = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 5e-2, torch.bfloat16: 0.25}
"""Where eager and SDPA differ by more than this at the middle place, one of them does not compute the model."""

MAX_OUTLIER_SHARE: Final = 0.05
"""Share of the places of a mixture of experts that may lie beyond their bound: at a near tie rounding picks another expert."""

MAX_LOGITS_IN_MEMORY: Final = 2**24
"""Logits that one way may have in memory at once."""


@dataclass(frozen=True)
class ReferenceLogits:
    """What a model itself says: `logits` [p, V] fp32 or better at `places` of every row, by eager attention.

    `apart` [p] of every row is the relative difference of its own two ways there, `usual` its median; None without a second way.
    `stray` is the share of the places that may lie beyond their bound.
    """

    places: tuple[tuple[int, ...], ...]
    logits: tuple[torch.Tensor, ...]
    apart: tuple[torch.Tensor, ...] | None
    usual: float
    dtype: torch.dtype
    stray: float

    def at(self, wanted: Sequence[Sequence[int]]) -> "ReferenceLogits":
        """The same for some of the places of each row."""
        picks = [[some.index(place) for place in want] for some, want in zip(self.places, wanted, strict=True)]
        apart = None if self.apart is None else tuple(one[pick] for one, pick in zip(self.apart, picks, strict=True))
        logits = tuple(one[pick] for one, pick in zip(self.logits, picks, strict=True))
        return replace(self, places=tuple(map(tuple, wanted)), logits=logits, apart=apart)


@dataclass(frozen=True)
class Agreement:
    """The place that is worst by its own bound, and the middle place: relative difference of logits, and what is allowed.

    `stray` places of `places` lie beyond their bound, of which a mixture of experts may have a few.
    """

    worst: float
    bound: float
    row: int
    place: int
    middle: float
    middle_bound: float
    places: int
    stray: int
    agrees: bool

    def told(self) -> str:
        """The figures in words, e.g. for a refusal."""
        return (
            f"logits differ by {self.worst:.2g} at token {self.place} of probe row {self.row} (at most {self.bound:.2g}) and "
            f"by {self.middle:.2g} in the middle of {self.places} places (at most {self.middle_bound:.2g})"
        )


def compared_positions(rows: Sequence[TokenIds], vocabulary: int) -> tuple[tuple[int, ...], ...]:
    """The places of each row whose logits are compared: all, or as many as memory allows, more of them at the end."""
    most = max(8, MAX_LOGITS_IN_MEMORY // (vocabulary * len(rows)))
    return tuple(_spread_positions(len(row), most) for row in rows)


def reference_logits(causal: Any, rows: Sequence[TokenIds], places: Sequence[Sequence[int]]) -> ReferenceLogits:
    """Run a causal LM of transformers by itself, row by row. Raises DataError when its logits are not numbers.

    Its attention is left at `eager`; no gradient is made.
    """
    ask = [list(some) for some in places]
    causal.set_attn_implementation("eager")
    eager = _logits_at(causal, rows, ask)
    if any(one.isnan().any() for one in eager):
        hint = "its weights are broken, or its training has diverged"
        raise DataError("the model's own logits are not numbers", where="base", hint=hint)
    dtype = causal.dtype
    apart = _sdpa_differences(causal, rows, ask, eager)
    usual = 0.0 if apart is None else float(torch.cat(apart).median())
    if usual > _bound_for(MAX_SDPA_MEDIAN, dtype):
        apart, usual = None, 0.0
    return ReferenceLogits(
        places=tuple(map(tuple, ask)),
        logits=tuple(eager),
        apart=None if apart is None else tuple(apart),
        usual=usual,
        dtype=dtype,
        stray=MAX_OUTLIER_SHARE if is_mixture_of_experts(causal) else 0.0,
    )


def compare_logits(mine: Sequence[torch.Tensor], own: ReferenceLogits) -> Agreement:
    """Compare logits [p, V] of every row at its places with the model's own."""
    found = torch.cat([_relative_difference(one, other) for one, other in zip(mine, own.logits, strict=True)])
    floor = _bound_for(ROUNDING_FLOOR, own.dtype)
    if own.apart is None:
        bounds = torch.full_like(found, _bound_for(BOUND_WITHOUT_SDPA, own.dtype))
        middle_bound = MEDIAN_SHARE_WITHOUT_SDPA * _bound_for(BOUND_WITHOUT_SDPA, own.dtype)
    else:
        bounds = (MAX_RATIO_PER_POSITION * torch.cat(own.apart).clamp(min=own.usual)).clamp(min=floor)
        middle_bound = max((MAX_MEDIAN_RATIO + MEDIAN_RATIO_SPREAD * len(found) ** -0.5) * own.usual, floor / 2)
    beyond = int((~(found <= bounds)).sum())
    at = int((found / bounds).nan_to_num(nan=torch.inf).argmax())
    where = [(row, place) for row, some in enumerate(own.places) for place in some][at]
    return Agreement(
        worst=float(found[at]),
        bound=float(bounds[at]),
        row=where[0] + 1,
        place=where[1] + 1,
        middle=float(found.median()),
        middle_bound=middle_bound,
        places=len(found),
        stray=beyond,
        agrees=beyond <= own.stray * len(found) and float(found.median()) <= middle_bound,
    )


def is_mixture_of_experts(causal: Any) -> bool:
    """A mixture of experts multiplies as many tokens at once as chose the expert, which changes the rounding of each."""
    config = causal.config.get_text_config()
    return any(getattr(config, name, None) for name in ("num_local_experts", "num_experts"))


def _sdpa_differences(
    causal: Any, rows: Sequence[TokenIds], places: list[list[int]], eager: list[torch.Tensor]
) -> list[torch.Tensor] | None:
    """[p] of every row: relative difference of SDPA and eager attention; None where SDPA cannot do what the model asks."""
    if getattr(causal.config.get_text_config(), "attn_logit_softcapping", None) is not None:
        return None
    try:
        causal.set_attn_implementation("sdpa")
    except (ValueError, ImportError):
        return None
    other = _logits_at(causal, rows, places)
    causal.set_attn_implementation("eager")
    return [_relative_difference(one, two) for one, two in zip(other, eager, strict=True)]


def _logits_at(causal: Any, rows: Sequence[TokenIds], places: list[list[int]]) -> list[torch.Tensor]:
    """[p, V] of every row; neighbours of one length and the same places go side by side, without padding."""
    found: list[torch.Tensor] = []
    pairs = zip(rows, places, strict=True)
    for (_, wanted), group in groupby(pairs, key=lambda pair: (len(pair[0]), pair[1])):
        ids = torch.tensor([row for row, _ in group], device=causal.device)
        index = torch.tensor(wanted, device=causal.device)
        chosen = "logits_to_keep" in signature(causal.forward).parameters
        with torch.no_grad():
            output = causal(input_ids=ids, use_cache=False, **({"logits_to_keep": index} if chosen else {}))
        logits = output.logits if chosen else output.logits[:, index]
        found += [one if one.dtype == torch.float64 else one.float() for one in logits]
    return found


def _relative_difference(mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """[p] of two [p, V]; a difference from nothing is infinite, none is 0."""
    apart, size = (mine - theirs).norm(dim=-1), theirs.norm(dim=-1)
    return torch.where(apart == 0, torch.zeros_like(apart), apart / size)


def _spread_positions(length: int, most: int) -> tuple[int, ...]:
    """At most `most` places of a row: half of them its last ones, the others evenly over the rest."""
    if length <= most:
        return tuple(range(length))
    last = most // 2
    rest = length - last
    return tuple(sorted({at * rest // (most - last) for at in range(most - last)} | set(range(rest, length))))


def _bound_for(bounds: dict[torch.dtype, float], dtype: torch.dtype) -> float:
    return bounds.get(dtype, bounds[torch.float32])
