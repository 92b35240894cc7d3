"""A gated feed-forward, down(silu(gate(x)) * up(x)), that keeps x, gate(x) and up(x) for its backward pass and nothing else.

autograd would also keep silu(gate(x)) and the product, [T, inner] each. They are recomputed from what is kept (as in
Liger-Kernel, Hsu et al. 2024, arXiv 2410.10989). No matrix product is computed twice.
"""

from typing import Any

import torch
from torch.nn.functional import silu

from tunesmith.models.packed.lean_linear import (
    TENSORS_PER_LAYER,
    LinearWeights,
    input_gradient,
    linear_product,
    restore_input,
    save_input,
    weight_gradients,
)
from tunesmith.models.packed.lean_norm import norm_inputs


def lean_feed_forward(x: torch.Tensor, *, gate: LinearWeights, up: LinearWeights, down: LinearWeights) -> torch.Tensor:
    """[..., hidden] to [..., hidden]."""
    tensors = (*gate[:TENSORS_PER_LAYER], *up[:TENSORS_PER_LAYER], *down[:TENSORS_PER_LAYER])
    scales = (gate.scale, up.scale, down.scale)
    out: torch.Tensor = _FeedForwardFunction.apply(x, scales, norm_inputs(x), *tensors)  # type: ignore[no-untyped-call]
    return out


class _FeedForwardFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *args: Any) -> torch.Tensor:
        scales, norm, *tensors = args
        gate, up, down = _unflatten_layers(tensors, scales)
        flat = x.reshape(-1, x.shape[-1])  # (T, hidden)
        gate_out, gate_low_rank = linear_product(flat, gate)  # (T, inner), (T, rank)
        up_out, up_low_rank = linear_product(flat, up)
        out, down_low_rank = linear_product(silu(gate_out).mul_(up_out), down)
        ctx.shape, ctx.scales = x.shape, scales
        low_ranks = (gate_low_rank, up_low_rank, down_low_rank)
        ctx.save_for_backward(*save_input(x, norm), gate_out, up_out, *low_ranks, *tensors)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, norm_weight, inverse_rms, gate_out, up_out, gate_low_rank, up_low_rank, down_low_rank, *tensors = (
            ctx.saved_tensors
        )
        flat = restore_input((x, norm_weight, inverse_rms))  # (T, hidden)
        gate, up, down = _unflatten_layers(tensors, ctx.scales)
        # The first three arguments are x, scales and the norm's inputs.
        gate_needs, up_needs, down_needs = (
            ctx.needs_input_grad[first : first + TENSORS_PER_LAYER]
            for first in range(3, 3 + 3 * TENSORS_PER_LAYER, TENSORS_PER_LAYER)
        )
        grad = grads[0].reshape(-1, grads[0].shape[-1])  # (T, hidden)
        activated = silu(gate_out)  # (T, inner)
        of_down, grad_low_rank = weight_gradients(
            grad, activated * up_out, low_rank=down_low_rank, layer=down, needs=down_needs
        )
        grad_inner = input_gradient(grad, down, grad_low_rank=grad_low_rank)  # (T, inner)
        # Both reuse memory: `activated` becomes the gradient of up(x), `grad_inner` that of silu(gate(x)).
        grad_up_out = activated.mul_(grad_inner)
        grad_gate_out = torch.ops.aten.silu_backward(grad_inner.mul_(up_out), gate_out)
        of_gate, grad_gate_low_rank = weight_gradients(
            grad_gate_out, flat, low_rank=gate_low_rank, layer=gate, needs=gate_needs
        )
        of_up, grad_up_low_rank = weight_gradients(grad_up_out, flat, low_rank=up_low_rank, layer=up, needs=up_needs)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = input_gradient(grad_gate_out, gate, grad_low_rank=grad_gate_low_rank)
            of_x = input_gradient(grad_up_out, up, grad_low_rank=grad_up_low_rank, add_to=of_x).view(ctx.shape)
        return (of_x, None, None, *of_gate, *of_up, *of_down)


def _unflatten_layers(tensors: Any, scales: Any) -> tuple[LinearWeights, LinearWeights, LinearWeights]:
    """The three layers, from their tensors in one list."""
    gate, up, down = (
        LinearWeights(*tensors[number * TENSORS_PER_LAYER : (number + 1) * TENSORS_PER_LAYER])._replace(scale=scale)
        for number, scale in enumerate(scales)
    )
    return gate, up, down
