"""Half precision where it is cheap, fp32 where it counts: adapters over a base in bf16, and the gradients of weights in bf16."""

from typing import Any, Final

import torch
from peft.tuners.lora import LoraLayer
from torch import nn
from torch.nn.functional import linear

HALF_DTYPES: Final = (torch.bfloat16, torch.float16)


class MasterLinear(nn.Linear):
    """A linear layer whose weight stays in fp32 and is rounded to the precision of its input for the product."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out], in the precision of the input."""
        return linear(input, self.weight.to(input.dtype), self.bias)


def accumulate_gradients_in_fp32(model: nn.Module) -> None:
    """Let the gradient of every weight that moves be fp32 where the weight is narrower; a weight in fp32 is left alone.

    autograd then widens what each pass, and each slice of the head, gives, and adds in fp32: the sum over the passes of a step
    is rounded once, at the move, and not at every pass. Four bytes an element stand between passes where bf16 has two.
    """
    for value in model.parameters():
        if value.requires_grad and value.dtype in HALF_DTYPES:
            value.grad_dtype = torch.float32


def compute_in_input_dtype(model: Any) -> None:
    """Let LoRA's A and B compute in the precision of their input, with fp32 weights behind them.

    Left alone, PEFT widens the input of every adapted layer and keeps that copy for the backward pass: 4 bytes per token and
    feature for each of q, k, v, gate and up, where the layer's own input would do. The logits are then also those of the
    adapter loaded in half precision, bit for bit.
    """
    for layer in _lora_layers(model):
        layer.cast_input_dtype_enabled = False
        for factors in (layer.lora_A, layer.lora_B):
            for name, factor in factors.items():
                factors[name] = _master_linear(factor)


def _master_linear(factor: nn.Linear) -> MasterLinear:
    made = MasterLinear(factor.in_features, factor.out_features, bias=False, device="meta")
    made.weight = factor.weight
    return made


def set_dora_magnitudes(model: Any) -> None:
    """Set DoRA's magnitudes to the norms of the base's weights in fp32, so that the untrained adapter changes nothing.

    PEFT takes them before it widens the adapter; rounded to bf16 they would scale every row by up to 0.4% before step one.
    """
    for layer in _lora_layers(model):
        for magnitude in layer.lora_magnitude_vector.values():
            weight = layer.get_base_layer().weight.detach().float()
            norm = magnitude.get_weight_norm(weight, weight.new_zeros(()), 1.0)
            with torch.no_grad():
                magnitude.weight.copy_(norm)


def zero_magnitude_layer(model: Any) -> str | None:
    """The path of a layer whose DoRA would divide nothing by nothing: a padding token's row in a tied head often is zeros.

    A frame without weights has no such layer.
    """
    layers: list[tuple[str, Any]] = [(path, one) for path, one in model.named_modules() if isinstance(one, LoraLayer)]
    for path, layer in layers:
        sizes = [one.weight for one in layer.lora_magnitude_vector.values()]
        if any(not size.is_meta and not bool(size.all()) for size in sizes):
            return path
    return None


def _lora_layers(model: Any) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]
