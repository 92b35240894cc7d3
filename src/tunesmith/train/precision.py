"""`precision: auto` to a precision: bf16 where the device has instructions for it, fp32 where it would be emulated.

Without such instructions a product in bf16 takes about eight times as long as in fp32 (AVX2, torch 2.13). The answer depends on
the device alone, so two runs on one machine take the same.
"""

from typing import Final

import torch

from tunesmith.models.loading import Precision
from tunesmith.recipe import TrainSettings

BF16_CPU_FEATURES: Final = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Names of processor features, as `torch.cpu.get_capabilities` has them, that multiply matrices of bf16 (x86 and Arm)."""


def resolve_precision(settings: TrainSettings) -> TrainSettings:
    """The settings with a precision in the place of `auto`; others as they are."""
    return settings.model_copy(update={"precision": precision_of(settings)})


def precision_of(settings: TrainSettings) -> Precision:
    """The precision that these settings come to on this machine."""
    return native_precision() if settings.precision == "auto" else settings.precision


def native_precision() -> Precision:
    """bf16 where the device that trains multiplies in it natively, else fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    features = torch.cpu.get_capabilities()
    return "bf16" if any(features.get(name) for name in BF16_CPU_FEATURES) else "fp32"
