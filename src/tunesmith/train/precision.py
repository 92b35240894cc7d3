"""Resolve `precision: auto`: bf16 where the device computes in it natively, fp32 where bf16 would be emulated.

Emulated bf16 matrix products take about eight times as long as fp32 (AVX2, torch 2.13). The choice depends only on the device,
so two runs on one machine make the same choice.
"""

from typing import Final

import torch

from tunesmith.models.loading import Precision
from tunesmith.recipe import TrainSettings

BF16_CPU_FEATURES: Final = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""CPU features with bf16 matrix products (x86 and Arm), by their names in `torch.cpu.get_capabilities`."""


def resolve_precision(settings: TrainSettings) -> TrainSettings:
    """The settings with `precision: auto` replaced by the precision for this machine."""
    return settings.model_copy(update={"precision": precision_of(settings)})


def precision_of(settings: TrainSettings) -> Precision:
    """The precision of these settings on this machine."""
    return native_precision() if settings.precision == "auto" else settings.precision


def native_precision() -> Precision:
    """bf16 where the training device has native bf16 matrix products, otherwise fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    features = torch.cpu.get_capabilities()
    return "bf16" if any(features.get(name) for name in BF16_CPU_FEATURES) else "fp32"
