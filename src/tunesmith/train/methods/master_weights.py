"""Mixed precision: fp32 adapters that compute in bf16 over a bf16 base, and fp32 gradients of bf16 weights."""

from typing import Any, Final

import torch
from peft.tuners.lora import LoraLayer
from torch import nn
from torch.nn.functional import linear

HALF_DTYPES: Final = (torch.bfloat16, torch.float16)


class MasterLinear(nn.Linear):
    """A linear layer with an fp32 weight that is cast to the precision of its input for the matrix product."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out), in the precision of the input."""
        return linear(input, self.weight.to(input.dtype), self.bias)


def accumulate_gradients_in_fp32(model: nn.Module) -> None:
    """Give every trainable half-precision weight an fp32 gradient.

    autograd then converts the gradient of each micro-batch, and of each chunk of the head, to fp32 before it adds it: the sum
    over a step is rounded once, in the update, and not at every micro-batch. Costs four bytes per element in place of two.
    """
    for value in model.parameters():
        if value.requires_grad and value.dtype in HALF_DTYPES:
            value.grad_dtype = torch.float32


def compute_in_input_dtype(model: Any) -> None:
    """Make LoRA's A and B compute in the precision of their input, from fp32 weights.

    By default PEFT casts the input of every adapted layer to fp32 and keeps that copy for the backward pass: 4 bytes per token
    and feature for each of q, k, v, gate and up, where the layer's own input suffices. With this change the logits also match
    those of the adapter loaded in half precision, bit for bit.
    """
    for layer in _lora_layers(model):
        layer.cast_input_dtype_enabled = False
        for factors in (layer.lora_A, layer.lora_B):
            for name, factor in factors.items():
                factors[name] = _master_linear(factor)


def _master_linear(factor: nn.Linear) -> MasterLinear:
    layer = MasterLinear(factor.in_features, factor.out_features, bias=False, device="meta")
    layer.weight = factor.weight
    return layer


def set_dora_magnitudes(model: Any) -> None:
    """Set DoRA's magnitudes to the fp32 norms of the base's weights, so that the untrained adapter is an identity.

    PEFT computes them before it converts the adapter to fp32; rounded to bf16 they would scale every row by up to 0.4%.
    """
    for layer in _lora_layers(model):
        for magnitude in layer.lora_magnitude_vector.values():
            weight = layer.get_base_layer().weight.detach().float()
            norm = magnitude.get_weight_norm(weight, weight.new_zeros(()), 1.0)
            with torch.no_grad():
                magnitude.weight.copy_(norm)


def zero_magnitude_layer(model: Any) -> str | None:
    """The path of a layer with a row of norm zero, for which DoRA would compute 0/0; None without one.

    The row of a padding token in a tied head is often zero. A model on the meta device has no such layer.
    """
    layers: list[tuple[str, Any]] = [
        (path, part) for path, part in model.named_modules() if isinstance(part, LoraLayer)
    ]
    for path, layer in layers:
        norms = [magnitude.weight for magnitude in layer.lora_magnitude_vector.values()]
        if any(not norm.is_meta and not bool(norm.all()) for norm in norms):
            return path
    return None


def _lora_layers(model: Any) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]
