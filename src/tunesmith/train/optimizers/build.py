"""Which optimiser takes which tensor."""

from typing import Any, Final

import torch
from torch import nn

from tunesmith.models.loading import check_bitsandbytes
from tunesmith.recipe import TrainSettings
from tunesmith.train.optimizers.container import Optimizers, fp32_master
from tunesmith.train.optimizers.muon import Muon
from tunesmith.train.optimizers.tensor_kinds import TrainableTensor, classify_tensors

FUSED_ADAMW_DEVICES: Final = ("cpu", "cuda", "mps", "xpu")
"""Devices on which torch 2.13 has AdamW in one kernel."""


def build_optimizer(model: nn.Module, settings: TrainSettings) -> Optimizers:
    """The optimiser of the recipe over the tensors that move.

    With Muon, AdamW's rate for the other tensors is `adamw_share` of the recipe's. With 8-bit AdamW, embeddings and their
    adapters keep states of 32 bits, as its authors advise (arXiv 2110.02861, section 2.3). Raises Misuse where 8-bit states
    cannot be had. With `head_learning_rate` AdamW moves the head at that rate. For a tensor in half precision an fp32 master
    is moved.
    """
    moving = [(tensor, fp32_master(tensor.value)) for tensor in classify_tensors(model)]
    masters = [(tensor.value, master) for tensor, master in moving if master is not tensor.value]
    return Optimizers(_with_head_rate([tensor._replace(value=master) for tensor, master in moving], settings), masters)


def _with_head_rate(
    moving: list[TrainableTensor], settings: TrainSettings
) -> list[tuple[torch.optim.Optimizer, float]]:
    """Optimisers with their share of the recipe's rate."""
    if settings.head_learning_rate is not None:
        heads = [tensor.value for tensor in moving if tensor.kind == "head"]
        share = settings.head_learning_rate / settings.learning_rate
        rest = [tensor for tensor in moving if tensor.kind != "head"]
        return [*_by_tensor_kind(rest, settings), *([(_adamw(heads, settings), share)] if heads else [])]
    return _by_tensor_kind(moving, settings)


def _by_tensor_kind(
    moving: list[TrainableTensor], settings: TrainSettings
) -> list[tuple[torch.optim.Optimizer, float]]:
    match settings.optimizer:
        case "adamw":
            return [(_adamw([tensor.value for tensor in moving], settings), 1.0)]
        case "adamw-8bit":
            few = [tensor.value for tensor in moving if tensor.kind == "embedding"]
            many = [tensor.value for tensor in moving if tensor.kind != "embedding"]
            exact = [(_adamw(few, settings), 1.0)] if few else []
            return [*([(_adamw_8bit(many, settings), 1.0)] if many else []), *exact]
        case "muon":
            hidden = [tensor for tensor in moving if tensor.kind == "hidden"]
            rest = [tensor.value for tensor in moving if tensor.kind != "hidden"]
            others = [(_adamw(rest, settings), settings.adamw_share)] if rest else []
            return [*([(_muon(hidden, settings), 1.0)] if hidden else []), *others]


def _muon(hidden: list[TrainableTensor], settings: TrainSettings) -> Muon:
    return Muon(
        [tensor.value for tensor in hidden if not tensor.transposed],
        transposed=[tensor.value for tensor in hidden if tensor.transposed],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )


def describe_optimizer(model: nn.Module, settings: TrainSettings) -> str:
    """One line for whoever waits: how many tensors and parameters Muon moves, and what AdamW does; empty without Muon."""
    if settings.optimizer != "muon":
        return ""
    moving = classify_tensors(model)
    hidden = [tensor for tensor in moving if tensor.kind == "hidden"]
    names = {"embedding": "embeddings", "head": "head", "other": "norms, biases and others"}
    rest = [
        f"{name} ({_size_text([tensor for tensor in moving if tensor.kind == kind])})"
        for kind, name in names.items()
        if any(tensor.kind == kind for tensor in moving)
    ]
    return f"optimizer: Muon moves hidden matrices ({_size_text(hidden)}); AdamW moves {', '.join(rest) or 'nothing'}"


def _size_text(tensors: list[TrainableTensor]) -> str:
    return f"{len(tensors)} tensors, {sum(tensor.value.numel() for tensor in tensors):,} parameters"


def check_optimizer(settings: TrainSettings) -> None:
    """Raises Misuse when this machine cannot run the optimiser of the recipe."""
    if settings.optimizer == "adamw-8bit":
        check_bitsandbytes("8-bit AdamW", where="train.optimizer", hint="set train.optimizer to adamw")


def _adamw(values: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    fused = all(value.device.type in FUSED_ADAMW_DEVICES for value in values)
    return torch.optim.AdamW(
        _decay_groups(values, settings), lr=settings.learning_rate, betas=(0.9, settings.beta2), fused=fused
    )


def _adamw_8bit(values: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    """Both moments in 8 bits by blocks of 256 (Dettmers et al. 2022, arXiv 2110.02861); tensors under 4,096 values in 32."""
    check_optimizer(settings)
    from bitsandbytes.optim import AdamW8bit

    made: torch.optim.Optimizer = AdamW8bit(
        _decay_groups(values, settings), lr=settings.learning_rate, betas=(0.9, settings.beta2), eps=1e-8
    )
    return made


def _decay_groups(values: list[nn.Parameter], settings: TrainSettings) -> list[dict[str, Any]]:
    """Groups with weight decay on matrices alone, not on norms and biases."""
    groups: list[dict[str, Any]] = [
        {"params": [value for value in values if value.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [value for value in values if value.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
