"""A gated feed-forward, down(silu(gate(x)) * up(x)), that keeps x, gate(x) and up(x) for its backward pass and nothing else.

autograd would keep silu(gate(x)) and the product as well, [T, inner] each; they are made again from what is kept (as in
Liger-Kernel, Hsu et al. 2024, arXiv 2410.10989). No matrix product is computed twice.
"""

from typing import Any

from tunesmith import process
from tunesmith.models.packed.lean_linear import (
    OF_A_LAYER,
    Weights,
    input_gradient,
    kept_input,
    product,
    read_input,
    weight_gradients,
)
from tunesmith.models.packed.lean_norm import origin_of

process.prepare()

import torch  # noqa: E402
from torch.nn.functional import silu  # noqa: E402


def lean_feed_forward(x: torch.Tensor, *, gate: Weights, up: Weights, down: Weights) -> torch.Tensor:
    """[..., hidden] to [..., hidden]."""
    tensors = (*gate[:OF_A_LAYER], *up[:OF_A_LAYER], *down[:OF_A_LAYER])
    scales = (gate.scale, up.scale, down.scale)
    out: torch.Tensor = _FeedForward.apply(x, scales, origin_of(x), *tensors)  # type: ignore[no-untyped-call]
    return out


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *given: Any) -> torch.Tensor:
        scales, origin, *tensors = given
        gate, up, down = _layers(tensors, scales)
        flat = x.reshape(-1, x.shape[-1])
        gated, of_gate = product(flat, gate)
        raised, of_up = product(flat, up)
        out, of_down = product(silu(gated).mul_(raised), down)
        ctx.shape, ctx.scales = x.shape, scales
        ctx.save_for_backward(*kept_input(x, origin), gated, raised, of_gate, of_up, of_down, *tensors)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, inverse, gated, raised, of_gate, of_up, of_down, *tensors = ctx.saved_tensors
        flat = read_input((x, weight, inverse))
        gate, up, down = _layers(tensors, ctx.scales)
        asked = [ctx.needs_input_grad[at : at + OF_A_LAYER] for at in range(3, 3 + 3 * OF_A_LAYER, OF_A_LAYER)]
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


def _layers(tensors: Any, scales: Any) -> tuple[Weights, Weights, Weights]:
    gate, up, down = (
        Weights(*tensors[at * OF_A_LAYER : (at + 1) * OF_A_LAYER])._replace(scale=scale)
        for at, scale in enumerate(scales)
    )
    return gate, up, down
