"""RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467) that keeps its input and one number per token for the backward pass.

A layer that reads the output need not keep it either: `norm_inputs` gives the tensors from which `recompute_norm` makes it.

The order of operations is that of Llama's module (x / rms(x) in fp32, rounded, times the weight), so half precision gives the
same bits.
"""

from typing import Any

import torch
from torch.utils.weak import WeakIdKeyDictionary

NormInputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Input [..., D], weight [D] and 1 / rms [..., 1] of a norm."""

_NORM_INPUTS = WeakIdKeyDictionary()
"""The inputs of every norm output that is still alive."""


def lean_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """[..., D] to [..., D], in the precision of x, which is fp32 or narrower."""
    inverse_rms = torch.linalg.vector_norm(x.detach(), dim=-1, keepdim=True, dtype=torch.float32)
    inverse_rms = inverse_rms.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
    out: torch.Tensor = _NormFunction.apply(x, weight, inverse_rms)  # type: ignore[no-untyped-call]
    _NORM_INPUTS[out] = (x.detach(), weight.detach(), inverse_rms)
    return out


def norm_inputs(out: torch.Tensor) -> NormInputs | None:
    """The inputs of the norm that returned this tensor; None for any other tensor."""
    inputs: NormInputs | None = _NORM_INPUTS.get(out)
    return inputs


def recompute_norm(inputs: NormInputs) -> torch.Tensor:
    """The output of a norm, bit for bit."""
    x, weight, inverse_rms = inputs
    out: torch.Tensor = (x.float() * inverse_rms).to(x.dtype)
    return out.mul_(weight)


class _NormFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *args: Any) -> torch.Tensor:
        x, weight, inverse_rms = args
        ctx.save_for_backward(x, weight, inverse_rms)
        return recompute_norm((x, weight, inverse_rms))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # With y = w x / r and r = rms(x) over D numbers:
        # dL/dw = sum over tokens of g x / r, and dL/dx = g w / r - x mean(g w x) / r^3.
        x, weight, inverse_rms = ctx.saved_tensors
        (grad,) = grads
        grad_weight = None
        wide = x.float()
        if ctx.needs_input_grad[1]:
            grad_weight = (grad * wide).mul_(inverse_rms).flatten(0, -2).sum(0).to(weight.dtype)
        if not ctx.needs_input_grad[0]:
            return None, grad_weight, None
        scaled = (grad * weight).float()
        projection = (scaled * wide).mean(-1, keepdim=True).mul_(inverse_rms.pow(3))  # (..., 1)
        return scaled.mul_(inverse_rms).addcmul_(wide, projection, value=-1.0).to(x.dtype), grad_weight, None
