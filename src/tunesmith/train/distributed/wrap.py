"""Put a model on its rank: whole (ddp), or as slices that are gathered layer by layer while they are used (FSDP2)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from tunesmith.errors import Misuse, RecipeError
from tunesmith.models.packed import forward
from tunesmith.models.packed.pack import PackedBatch
from tunesmith.models.tasks import PACKED_BATCHING, Batching
from tunesmith.recipe import TrainSettings
from tunesmith.train.distributed.ranks import Ranks, barrier, rank_device
from tunesmith.train.distributed.send_weights import is_meta, meta_ranks, own_tensors, send_weights
from tunesmith.train.methods.master_weights import HALF_DTYPES


class LossRoot(nn.Module):
    """The root under FSDP2: its forward is the loss of a pass.

    The loss reads the head's weight without calling the head or the causal LM, so neither of them may be the root. In here
    embeddings, final norm and head belong to the root's group: the loss sees the whole matrix, tied or not, and the hook
    behind the backward pass sums its gradient over the ranks. A `full_tensor()` of the head would give every rank the
    gradient of its own rows alone.
    """

    def __init__(self, model: Any) -> None:
        nn.Module.__init__(self)
        self.model = model

    def forward(self, batch: PackedBatch, label_smoothing: float) -> torch.Tensor:
        """Weighted sum of cross-entropy (nats) over the supervised tokens of a pass."""
        return forward.summed_loss(self.model, batch, label_smoothing=label_smoothing)


def check_sharding(settings: TrainSettings, ranks: Ranks) -> None:
    """Raises RecipeError, naming the setting, for what slices of matrices cannot do exactly."""
    if not ranks.sharded:
        return
    if settings.optimizer != "adamw":
        why = "Muon needs whole matrices" if settings.optimizer == "muon" else "8-bit states are made of whole tensors"
        raise RecipeError(
            f"{settings.optimizer} cannot move slices of matrices under fsdp: {why}",
            where="train.optimizer",
            hint="set train.optimizer to adamw, or train.strategy to ddp",
        )
    if settings.method == "qlora":
        hint = "set train.strategy to ddp, or train.method to lora"
        raise RecipeError("a base in 4 bits cannot be cut up under fsdp", where="train.method", hint=hint)


def to_device(model: Any) -> Any:
    """The model on this rank's device: its CUDA device where there is one. A base in 4 bits is there already, and a frame
    without weights stays one."""
    if not is_meta(model) and next(model.parameters()).device != rank_device():
        model.to(rank_device())
    return model


def wrap_model(model: Any, ranks: Ranks) -> Ranks:
    """Move the model to this rank's device; under fsdp cut every tensor along its first dimension, layer by layer.

    Works in place. The ranks that come back carry the root that `summed_loss` calls. Gradients of slices are summed over ranks
    and passes in fp32, never averaged: the loss is over the weight of the whole step already. Weights in bf16 that move are
    kept as slices in fp32, the optimiser's masters at once, and rounded when they are gathered. A rank whose model is a frame
    without weights is sent its slices by rank 0. Raises Misuse for a model without layers, or with weights of two precisions.
    """
    to_device(model)
    if not ranks.sharded:
        return ranks
    hollow = meta_ranks(model, ranks)
    computed = _compute_dtype(model)
    names = set(forward.unwrap_peft(model)._no_split_modules or ())
    layers = [module for module in model.modules() if type(module).__name__ in names]
    if not layers:
        kind = forward.unwrap_peft(model).config.model_type
        raise Misuse(f"the {kind} model names no layers to cut up", where="train.strategy", hint="set it to ddp")
    root = LossRoot(model)
    mesh = init_device_mesh(rank_device().type, (ranks.size,))
    # Inputs are left as they are: weights of tokens are fp32 whatever the model computes in.
    policy = MixedPrecisionPolicy(computed, torch.float32, cast_forward_inputs=False)
    cut: set[nn.Module] = set()
    for module in (*layers, root):
        inside = [one for one in module.modules() if one not in cut]
        before = [value.detach() for value in own_tensors(inside)] if hollow else []
        _widen_to_fp32(module)
        sharded: FSDPModule = fully_shard(module, mesh=mesh, mp_policy=policy)
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
        # A pass whose rows train nothing does not reach the head; the others' share of its gradient must arrive all the same.
        sharded.set_reduce_scatter_unused_params(True)
        if hollow:
            send_weights(inside, before, ranks=ranks, hollow=hollow)
        cut.update(inside)
    return replace(ranks, root=root)


def _compute_dtype(model: nn.Module) -> torch.dtype | None:
    """The precision that weights which move are rounded to where they are computed; None where it is their own."""
    kinds = {value.dtype for value in model.parameters() if value.requires_grad}
    halves = kinds & set(HALF_DTYPES)
    if halves and len(kinds) > 1:
        said = f"weights that move are in {' and '.join(sorted(str(kind).removeprefix('torch.') for kind in kinds))}"
        raise Misuse(f"{said}, and slices are computed in one precision", where="train.strategy", hint="set it to ddp")
    return halves.pop() if halves else None


def _widen_to_fp32(module: nn.Module) -> None:
    """Put weights that move into fp32: FSDP2 adds the gradients of passes in the precision of its slices, whatever precision
    it sums over ranks in."""
    for value in module.parameters():
        if value.requires_grad and value.dtype in HALF_DTYPES:
            value.data = value.data.float()


def micro_batch_loss(
    model: Any, batch: Any, *, ranks: Ranks, passes: Batching = PACKED_BATCHING, label_smoothing: float = 0.0
) -> torch.Tensor:
    """The loss of this rank's pass as the task sums it; through the root, which only decoders have, where parameters must be
    gathered."""
    if ranks.root is None:
        return passes.loss(model, batch, label_smoothing=label_smoothing)
    loss: torch.Tensor = ranks.root(batch, label_smoothing)
    return loss


def reshard(ranks: Ranks) -> None:
    """Back to slices after passes without a backward one, so that what is read and written next is the slices."""
    if ranks.root is not None:
        for module in ranks.root.modules():
            if isinstance(module, FSDPModule):
                module.reshard()


def gather_model(model: Any, ranks: Ranks, fresh: Callable[[], Any]) -> Any:
    """A whole model on rank 0, the model itself elsewhere. Under fsdp `fresh` makes an untrained one, which gets the weights."""
    if not ranks.sharded:
        return model
    reshard(ranks)
    whole = fresh() if ranks.leads else None
    targets = dict(whole.named_parameters()) if whole is not None else {}
    for name, value in model.named_parameters():
        if not value.requires_grad:
            continue
        full = value.full_tensor() if isinstance(value, DTensor) else value
        if name in targets:
            with torch.no_grad():
                targets[name].copy_(full)
    barrier(ranks)
    return model if whole is None else whole
