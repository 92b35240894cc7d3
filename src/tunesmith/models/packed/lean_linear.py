"""A linear layer under LoRA with a backward pass of its own: it keeps its input and [T, r] numbers, and adds in place.

PEFT computes W x, B A x, the latter times the scale, and the sum, each in a tensor of its own. Here B adds onto W x inside its
matrix product. In half precision the sum is so rounded once where PEFT rounds three times; the adapter's weights are rounded to
the precision of the input for the products, as `train.methods.masters` does, and get their gradients in their own.
"""

from typing import Any, NamedTuple

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from tunesmith.models.packed.lean_norm import NormInputs, norm_inputs, recompute_norm


class LinearWeights(NamedTuple):
    """One layer: `weight` [out, in], `bias` [out], LoRA's `a` [r, in] and `b` [out, r] with its scale; None where it has none."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None
    a: torch.Tensor | None = None
    b: torch.Tensor | None = None
    scale: float = 1.0


SavedInput = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""An input, or the origin that it is made again from."""

LinearGradients = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
"""Of weight, bias, a and b; None where nobody asked."""

NeedsGradient = tuple[bool, bool, bool, bool]

TENSORS_PER_LAYER = 4
"""How many tensors of a layer are handed to autograd."""


def linear_weights(layer: nn.Module) -> LinearWeights | None:
    """The weights of a plain linear layer, or of one under one active LoRA adapter without dropout; None for anything else.

    A layer that somebody watches with a hook is left as it is: the hook would not be called.
    """
    if type(layer) is nn.Linear:
        return None if has_hooks(layer) else LinearWeights(layer.weight, layer.bias)
    if type(layer) is not LoraLinear or type(layer.base_layer) is not nn.Linear:
        return None
    names = [name for name in layer.active_adapters if name in layer.lora_A]
    if len(names) != 1 or layer.disable_adapters or layer.merged or layer.lora_variant:
        return None
    (name,) = names
    parts = (layer.base_layer, layer.lora_A[name], layer.lora_B[name], layer.lora_dropout[name])
    if not isinstance(parts[3], nn.Identity) or any(has_hooks(part) for part in parts):
        return None
    if parts[1].bias is not None or parts[2].bias is not None:
        return None
    return LinearWeights(parts[0].weight, parts[0].bias, parts[1].weight, parts[2].weight, layer.scaling[name])


def has_hooks(layer: nn.Module) -> bool:
    """Whether a hook hangs on the layer."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def linear_product(x: torch.Tensor, layer: LinearWeights) -> tuple[torch.Tensor, torch.Tensor | None]:
    """x [T, in] to [T, out], and the scaled A x [T, r] that the backward pass needs."""
    weight = layer.weight.t()
    out = x @ weight if layer.bias is None else torch.addmm(layer.bias, x, weight)
    if layer.a is None or layer.b is None:
        return out, None
    small = (x @ layer.a.to(x.dtype).t()).mul_(layer.scale)
    return out.addmm_(small, layer.b.to(x.dtype).t()), small


def weight_gradients(
    grad: torch.Tensor, x: torch.Tensor, *, small: torch.Tensor | None, layer: LinearWeights, asked: NeedsGradient
) -> tuple[LinearGradients, torch.Tensor | None]:
    """Gradients of a layer's tensors for `grad` [T, out], and the scaled B' grad [T, r] for that of the input."""
    of_weight = grad.t() @ x if asked[0] else None
    of_bias = grad.sum(0) if asked[1] else None
    if small is None or layer.a is None or layer.b is None:
        return (of_weight, of_bias, None, None), None
    back = (grad @ layer.b.to(grad.dtype)).mul_(layer.scale)
    of_a = (back.t() @ x).to(layer.a.dtype) if asked[2] else None
    of_b = (grad.t() @ small).to(layer.b.dtype) if asked[3] else None
    return (of_weight, of_bias, of_a, of_b), back


def input_gradient(
    grad: torch.Tensor, layer: LinearWeights, *, back: torch.Tensor | None, onto: torch.Tensor | None = None
) -> torch.Tensor:
    """Gradient of the input [T, in], added to `onto` in place where that is given."""
    total = grad @ layer.weight if onto is None else onto.addmm_(grad, layer.weight)
    if back is not None and layer.a is not None:
        total.addmm_(back, layer.a.to(grad.dtype))
    return total


def save_input(x: torch.Tensor, origin: NormInputs | None) -> SavedInput:
    """What stands for x in the backward pass: its origin where it has one, since a norm keeps that anyway."""
    return (x, None, None) if origin is None else origin


def restore_input(kept: SavedInput) -> torch.Tensor:
    """x as [T, in]."""
    x, weight, inverse = kept
    if weight is not None and inverse is not None:
        x = recompute_norm((x, weight, inverse))
    return x.reshape(-1, x.shape[-1])


def lean_linear(x: torch.Tensor, layer: LinearWeights) -> torch.Tensor:
    """[..., in] to [..., out]."""
    out: torch.Tensor = _LinearFunction.apply(x, *layer[:TENSORS_PER_LAYER], layer.scale, norm_inputs(x))  # type: ignore[no-untyped-call]
    return out


class _LinearFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *given: Any) -> torch.Tensor:
        *weights, origin = given
        layer = LinearWeights(*weights)
        out, small = linear_product(x.reshape(-1, x.shape[-1]), layer)
        ctx.shape, ctx.scale = x.shape, layer.scale
        ctx.save_for_backward(*save_input(x, origin), small, *layer[:TENSORS_PER_LAYER])
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, inverse, small, *tensors = ctx.saved_tensors
        flat = restore_input((x, weight, inverse))
        layer = LinearWeights(*tensors)._replace(scale=ctx.scale)
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        found, back = weight_gradients(
            grad, flat, small=small, layer=layer, asked=ctx.needs_input_grad[1 : 1 + TENSORS_PER_LAYER]
        )
        of_x = input_gradient(grad, layer, back=back).view(ctx.shape) if ctx.needs_input_grad[0] else None
        return (of_x, *found, None, None)
