"""A linear layer with or without LoRA whose backward pass keeps only its input and a [T, rank] tensor.

PEFT computes W x, then B A x, then the latter times a scale, then the sum, each in a tensor of its own. Here B A x is added to
W x inside the matrix product with B. In half precision the sum is rounded once where PEFT rounds three times. Adapter weights
are cast to the precision of the input for the products, as `train.methods.master_weights` does, and get gradients in their own.

Shapes: T tokens, x [T, in], weight [out, in], a [rank, in], b [out, rank].
"""

from typing import Any, NamedTuple

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from tunesmith.models.packed.lean_norm import NormInputs, norm_inputs, recompute_norm


class LinearWeights(NamedTuple):
    """One layer: `weight` [out, in], `bias` [out], LoRA's `a` [rank, in] and `b` [out, rank] with its scale; None if absent."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None
    a: torch.Tensor | None = None
    b: torch.Tensor | None = None
    scale: float = 1.0


SavedInput = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""(input, None, None), or the three tensors of a norm that recompute it."""

LinearGradients = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
"""Of weight, bias, a and b; None if not needed."""

NeedsGradient = tuple[bool, bool, bool, bool]
"""For weight, bias, a and b."""

TENSORS_PER_LAYER = 4
"""How many tensors of a layer are arguments of an autograd function: weight, bias, a, b."""


def linear_weights(layer: nn.Module) -> LinearWeights | None:
    """The weights of a plain linear layer, or of one under a single active LoRA adapter without dropout; None for any other.

    None also for a layer with hooks: they would not be called.
    """
    if type(layer) is nn.Linear:
        return None if has_hooks(layer) else LinearWeights(layer.weight, layer.bias)
    if type(layer) is not LoraLinear or type(layer.base_layer) is not nn.Linear:
        return None
    names = [name for name in layer.active_adapters if name in layer.lora_A]
    if len(names) != 1 or layer.disable_adapters or layer.merged or layer.lora_variant:
        return None
    (name,) = names
    base, a, b, dropout = layer.base_layer, layer.lora_A[name], layer.lora_B[name], layer.lora_dropout[name]
    if not isinstance(dropout, nn.Identity) or any(has_hooks(part) for part in (base, a, b, dropout)):
        return None
    if a.bias is not None or b.bias is not None:
        return None
    return LinearWeights(base.weight, base.bias, a.weight, b.weight, layer.scaling[name])


def has_hooks(layer: nn.Module) -> bool:
    """Whether a forward or backward hook is registered on the layer."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


def linear_product(x: torch.Tensor, layer: LinearWeights) -> tuple[torch.Tensor, torch.Tensor | None]:
    """x [T, in] to [T, out], and scale * A x [T, rank], which the backward pass needs; None without LoRA."""
    weight = layer.weight.t()
    out = x @ weight if layer.bias is None else torch.addmm(layer.bias, x, weight)
    if layer.a is None or layer.b is None:
        return out, None
    low_rank = (x @ layer.a.to(x.dtype).t()).mul_(layer.scale)  # (T, rank)
    return out.addmm_(low_rank, layer.b.to(x.dtype).t()), low_rank


def weight_gradients(
    grad: torch.Tensor,
    x: torch.Tensor,
    *,
    low_rank: torch.Tensor | None,
    layer: LinearWeights,
    needs: NeedsGradient,
) -> tuple[LinearGradients, torch.Tensor | None]:
    """Gradients of a layer's tensors for `grad` [T, out], and scale * grad B [T, rank], which `input_gradient` needs."""
    of_weight = grad.t() @ x if needs[0] else None
    of_bias = grad.sum(0) if needs[1] else None
    if low_rank is None or layer.a is None or layer.b is None:
        return (of_weight, of_bias, None, None), None
    grad_low_rank = (grad @ layer.b.to(grad.dtype)).mul_(layer.scale)  # (T, rank)
    of_a = (grad_low_rank.t() @ x).to(layer.a.dtype) if needs[2] else None
    of_b = (grad.t() @ low_rank).to(layer.b.dtype) if needs[3] else None
    return (of_weight, of_bias, of_a, of_b), grad_low_rank


def input_gradient(
    grad: torch.Tensor,
    layer: LinearWeights,
    *,
    grad_low_rank: torch.Tensor | None,
    add_to: torch.Tensor | None = None,
) -> torch.Tensor:
    """Gradient of the input [T, in] for `grad` [T, out]; added to `add_to` in place if that is given."""
    total = grad @ layer.weight if add_to is None else add_to.addmm_(grad, layer.weight)
    if grad_low_rank is not None and layer.a is not None:
        total.addmm_(grad_low_rank, layer.a.to(grad.dtype))
    return total


def save_input(x: torch.Tensor, norm: NormInputs | None) -> SavedInput:
    """What to keep of an input for the backward pass: if a norm computed it, the norm's inputs, which are kept anyway."""
    return (x, None, None) if norm is None else norm


def restore_input(saved: SavedInput) -> torch.Tensor:
    """The input as [T, in]."""
    x, weight, inverse_rms = saved
    if weight is not None and inverse_rms is not None:
        x = recompute_norm((x, weight, inverse_rms))
    return x.reshape(-1, x.shape[-1])


def lean_linear(x: torch.Tensor, layer: LinearWeights) -> torch.Tensor:
    """[..., in] to [..., out]."""
    tensors = layer[:TENSORS_PER_LAYER]
    out: torch.Tensor = _LinearFunction.apply(x, *tensors, layer.scale, norm_inputs(x))  # type: ignore[no-untyped-call]
    return out


class _LinearFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *args: Any) -> torch.Tensor:
        *weights, norm = args
        layer = LinearWeights(*weights)
        out, low_rank = linear_product(x.reshape(-1, x.shape[-1]), layer)
        ctx.shape, ctx.scale = x.shape, layer.scale
        ctx.save_for_backward(*save_input(x, norm), low_rank, *layer[:TENSORS_PER_LAYER])
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, norm_weight, inverse_rms, low_rank, *tensors = ctx.saved_tensors
        flat = restore_input((x, norm_weight, inverse_rms))  # (T, in)
        layer = LinearWeights(*tensors)._replace(scale=ctx.scale)
        grad = grads[0].reshape(-1, grads[0].shape[-1])  # (T, out)
        needs = ctx.needs_input_grad[1 : 1 + TENSORS_PER_LAYER]
        of_tensors, grad_low_rank = weight_gradients(grad, flat, low_rank=low_rank, layer=layer, needs=needs)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = input_gradient(grad, layer, grad_low_rank=grad_low_rank).view(ctx.shape)
        return (of_x, *of_tensors, None, None)
