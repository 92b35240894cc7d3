"""A gated feed-forward, down(silu(gate(x)) * up(x)), that keeps x, gate(x) and up(x) for its backward pass and nothing else.

autograd would keep silu(gate(x)) and the product as well, [T, inner] each; they are made again from what is kept (as in
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
    def forward(ctx: Any, x: torch.Tensor, *given: Any) -> torch.Tensor:
        scales, origin, *tensors = given
        gate, up, down = _unflatten_layers(tensors, scales)
        flat = x.reshape(-1, x.shape[-1])
        gated, of_gate = linear_product(flat, gate)
        raised, of_up = linear_product(flat, up)
        out, of_down = linear_product(silu(gated).mul_(raised), down)
        ctx.shape, ctx.scales = x.shape, scales
        ctx.save_for_backward(*save_input(x, origin), gated, raised, of_gate, of_up, of_down, *tensors)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, inverse, gated, raised, of_gate, of_up, of_down, *tensors = ctx.saved_tensors
        flat = restore_input((x, weight, inverse))
        gate, up, down = _unflatten_layers(tensors, ctx.scales)
        asked = [
            ctx.needs_input_grad[at : at + TENSORS_PER_LAYER]
            for at in range(3, 3 + 3 * TENSORS_PER_LAYER, TENSORS_PER_LAYER)
        ]
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        active = silu(gated)
        downs, back = weight_gradients(grad, active * raised, small=of_down, layer=down, asked=asked[2])
        inner = input_gradient(grad, down, back=back)
        of_raised = active.mul_(inner)
        of_gated = torch.ops.aten.silu_backward(inner.mul_(raised), gated)
        gates, back_gate = weight_gradients(of_gated, flat, small=of_gate, layer=gate, asked=asked[0])
        ups, back_up = weight_gradients(of_raised, flat, small=of_up, layer=up, asked=asked[1])
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = input_gradient(of_gated, gate, back=back_gate)
            of_x = input_gradient(of_raised, up, back=back_up, onto=of_x).view(ctx.shape)
        return (of_x, None, None, *gates, *ups, *downs)


def _unflatten_layers(tensors: Any, scales: Any) -> tuple[LinearWeights, LinearWeights, LinearWeights]:
    gate, up, down = (
        LinearWeights(*tensors[at * TENSORS_PER_LAYER : (at + 1) * TENSORS_PER_LAYER])._replace(scale=scale)
        for at, scale in enumerate(scales)
    )
    return gate, up, down
