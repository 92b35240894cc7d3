"""Build the optimizers of the recipe and assign every trainable tensor to one of them."""

from typing import Any, Final

import torch
from torch import nn

from tunesmith.models.loading import check_bitsandbytes
from tunesmith.recipe import TrainSettings
from tunesmith.train.optimizers.container import Optimizers, fp32_master
from tunesmith.train.optimizers.muon import Muon
from tunesmith.train.optimizers.tensor_kinds import TrainableTensor, classify_tensors

FUSED_ADAMW_DEVICES: Final = ("cpu", "cuda", "mps", "xpu")
"""Devices for which torch 2.13 has fused AdamW."""


def build_optimizer(model: nn.Module, settings: TrainSettings) -> Optimizers:
    """The optimizer of the recipe over the trainable tensors.

    With Muon, the other tensors are updated by AdamW at `adamw_share` of the recipe's learning rate. With 8-bit AdamW,
    embeddings and their adapters keep 32-bit states, as its authors advise (arXiv 2110.02861, section 2.3). With
    `head_learning_rate`, AdamW updates the head at that rate. Half-precision tensors are updated through an fp32 master.
    Raises Misuse where 8-bit AdamW is not available.
    """
    tensors = [(tensor, fp32_master(tensor.value)) for tensor in classify_tensors(model)]
    masters = [(tensor.value, master) for tensor, master in tensors if master is not tensor.value]
    return Optimizers(_with_head_rate([tensor._replace(value=master) for tensor, master in tensors], settings), masters)


def _with_head_rate(
    tensors: list[TrainableTensor], settings: TrainSettings
) -> list[tuple[torch.optim.Optimizer, float]]:
    """Optimizers with their factor of the recipe's learning rate; the head apart where it has a rate of its own."""
    if settings.head_learning_rate is not None:
        heads = [tensor.value for tensor in tensors if tensor.kind == "head"]
        share = settings.head_learning_rate / settings.learning_rate
        rest = [tensor for tensor in tensors if tensor.kind != "head"]
        return [*_by_tensor_kind(rest, settings), *([(_adamw(heads, settings), share)] if heads else [])]
    return _by_tensor_kind(tensors, settings)


def _by_tensor_kind(
    tensors: list[TrainableTensor], settings: TrainSettings
) -> list[tuple[torch.optim.Optimizer, float]]:
    match settings.optimizer:
        case "adamw":
            return [(_adamw([tensor.value for tensor in tensors], settings), 1.0)]
        case "adamw-8bit":
            embeddings = [tensor.value for tensor in tensors if tensor.kind == "embedding"]
            others = [tensor.value for tensor in tensors if tensor.kind != "embedding"]
            in_32_bits = [(_adamw(embeddings, settings), 1.0)] if embeddings else []
            return [*([(_adamw_8bit(others, settings), 1.0)] if others else []), *in_32_bits]
        case "muon":
            hidden = [tensor for tensor in tensors if tensor.kind == "hidden"]
            others = [tensor.value for tensor in tensors if tensor.kind != "hidden"]
            adamw = [(_adamw(others, settings), settings.adamw_share)] if others else []
            return [*([(_muon(hidden, settings), 1.0)] if hidden else []), *adamw]


def _muon(hidden: list[TrainableTensor], settings: TrainSettings) -> Muon:
    return Muon(
        [tensor.value for tensor in hidden if not tensor.transposed],
        transposed=[tensor.value for tensor in hidden if tensor.transposed],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )


def describe_optimizer(model: nn.Module, settings: TrainSettings) -> str:
    """A line for the log: how many tensors and parameters Muon and AdamW update; empty without Muon."""
    if settings.optimizer != "muon":
        return ""
    tensors = classify_tensors(model)
    hidden = [tensor for tensor in tensors if tensor.kind == "hidden"]
    names = {"embedding": "embeddings", "head": "head", "other": "norms, biases and others"}
    rest = [
        f"{name} ({_size_text([tensor for tensor in tensors if tensor.kind == kind])})"
        for kind, name in names.items()
        if any(tensor.kind == kind for tensor in tensors)
    ]
    return (
        f"optimizer: Muon updates hidden matrices ({_size_text(hidden)}); AdamW updates {', '.join(rest) or 'nothing'}"
    )


def _size_text(tensors: list[TrainableTensor]) -> str:
    return f"{len(tensors)} tensors, {sum(tensor.value.numel() for tensor in tensors):,} parameters"


def check_optimizer(settings: TrainSettings) -> None:
    """Raises Misuse when this machine cannot run the optimizer of the recipe."""
    if settings.optimizer == "adamw-8bit":
        check_bitsandbytes("8-bit AdamW", where="train.optimizer", hint="set `train: {optimizer: adamw}`")


def _adamw(values: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    fused = all(value.device.type in FUSED_ADAMW_DEVICES for value in values)
    return torch.optim.AdamW(
        _decay_groups(values, settings), lr=settings.learning_rate, betas=(0.9, settings.beta2), fused=fused
    )


def _adamw_8bit(values: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    """Both moments in 8 bits, blocks of 256 (Dettmers et al. 2022, arXiv 2110.02861); 32 bits for tensors under 4,096 values."""
    check_optimizer(settings)
    from bitsandbytes.optim import AdamW8bit

    optimizer: torch.optim.Optimizer = AdamW8bit(
        _decay_groups(values, settings), lr=settings.learning_rate, betas=(0.9, settings.beta2), eps=1e-8
    )
    return optimizer


def _decay_groups(values: list[nn.Parameter], settings: TrainSettings) -> list[dict[str, Any]]:
    """Parameter groups: weight decay on matrices only, not on norms and biases."""
    groups: list[dict[str, Any]] = [
        {"params": [value for value in values if value.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [value for value in values if value.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
