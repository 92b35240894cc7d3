"""Adapters in fp32 over a base in half precision: what the optimiser moves is exact, what the layers multiply is cheap."""

from typing import Any

from tunesmith import process

process.prepare()

import torch  # noqa: E402
from peft.tuners.lora import LoraLayer  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import linear  # noqa: E402


class MasterLinear(nn.Linear):
    """A linear layer whose weight stays in fp32 and is rounded to the precision of its input for the product."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out], in the precision of the input."""
        return linear(input, self.weight.to(input.dtype), self.bias)


def compute_like_input(model: Any) -> None:
    """Let LoRA's A and B compute in the precision of their input, with fp32 weights behind them.

    Left alone, PEFT widens the input of every adapted layer and keeps that copy for the backward pass: 4 bytes per token and
    feature for each of q, k, v, gate and up, where the layer's own input would do. The logits are then also those of the
    adapter loaded in half precision, bit for bit.
    """
    for layer in _lora_layers(model):
        layer.cast_input_dtype_enabled = False
        for factors in (layer.lora_A, layer.lora_B):
            for name, factor in factors.items():
                factors[name] = _master(factor)


def _master(factor: nn.Linear) -> MasterLinear:
    made = MasterLinear(factor.in_features, factor.out_features, bias=False, device="meta")
    made.weight = factor.weight
    return made


def set_magnitudes(model: Any) -> None:
    """Set DoRA's magnitudes to the norms of the base's weights in fp32, so that the untrained adapter changes nothing.

    PEFT takes them before it widens the adapter; rounded to bf16 they would scale every row by up to 0.4% before step one.
    """
    for layer in _lora_layers(model):
        for magnitude in layer.lora_magnitude_vector.values():
            weight = layer.get_base_layer().weight.detach().float()
            norm = magnitude.get_weight_norm(weight, weight.new_zeros(()), 1.0)
            with torch.no_grad():
                magnitude.weight.copy_(norm)


def _lora_layers(model: Any) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]
