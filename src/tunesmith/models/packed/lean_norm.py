"""RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467) that keeps its input and one number a token for its backward pass.

Computed as Llama's module computes it, to the bit where that is in half precision: x / rms(x) in fp32, rounded, times the weight.
"""

from typing import Any

from tunesmith import process

process.prepare()

import torch  # noqa: E402


def lean_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """[..., D] to [..., D], in the precision of x, fp32 or narrower."""
    out: torch.Tensor = _Norm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
    return out


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> torch.Tensor:
        x, weight, epsilon = given
        wide = x.float()
        norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        inverse = norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        out: torch.Tensor = (wide * inverse).to(x.dtype)
        return out.mul_(weight)

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
