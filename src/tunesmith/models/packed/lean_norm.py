"""RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467) that keeps its input and one number a token for its backward pass.

What reads its output need not keep it either: `origin_of` says what the output is made again from.

Computed as Llama's module computes it, to the bit where that is in half precision: x / rms(x) in fp32, rounded, times the weight.
"""

from typing import Any

import torch
from torch.utils.weak import WeakIdKeyDictionary

NormInputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Input, weight and 1 / rms [..., 1] of a norm."""

_NORM_INPUTS = WeakIdKeyDictionary()
"""Outputs that live, each with its origin."""


def lean_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """[..., D] to [..., D], in the precision of x, fp32 or narrower."""
    inverse = torch.linalg.vector_norm(x.detach(), dim=-1, keepdim=True, dtype=torch.float32)
    inverse = inverse.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
    out: torch.Tensor = _NormFunction.apply(x, weight, inverse)  # type: ignore[no-untyped-call]
    _NORM_INPUTS[out] = (x.detach(), weight.detach(), inverse)
    return out


def norm_inputs(out: torch.Tensor) -> NormInputs | None:
    """What `made_again` makes a norm's output from; None for any other tensor."""
    found: NormInputs | None = _NORM_INPUTS.get(out)
    return found


def recompute_norm(origin: NormInputs) -> torch.Tensor:
    """The output of a norm, to the bit."""
    x, weight, inverse = origin
    out: torch.Tensor = (x.float() * inverse).to(x.dtype)
    return out.mul_(weight)


class _NormFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> torch.Tensor:
        x, weight, inverse = given
        ctx.save_for_backward(x, weight, inverse)
        return recompute_norm((x, weight, inverse))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        (grad,) = grads
        of_weight = None
        wide = x.float()
        if ctx.needs_input_grad[1]:
            of_weight = (grad * wide).mul_(inverse).flatten(0, -2).sum(0).to(weight.dtype)
        if not ctx.needs_input_grad[0]:
            return None, of_weight, None
        scaled = (grad * weight).float()
        along = (scaled * wide).mean(-1, keepdim=True).mul_(inverse.pow(3))
        return scaled.mul_(inverse).addcmul_(wide, along, value=-1.0).to(x.dtype), of_weight, None
