"""Place a model on its rank: whole (ddp), or sharded, with each layer gathered while it computes (FSDP2)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from tunesmith.errors import Misuse, RecipeError
from tunesmith.models.packed import PackedBatch, summed_loss, unwrap_peft
from tunesmith.models.tasks import PACKED_BATCHING, Batching
from tunesmith.recipe import TrainSettings
from tunesmith.train.distributed.ranks import Ranks, barrier, rank_device
from tunesmith.train.distributed.send_weights import is_meta, meta_ranks, own_tensors, send_weights
from tunesmith.train.methods.master_weights import HALF_DTYPES


class LossRoot(nn.Module):
    """The FSDP2 root module. Its forward is the loss of a micro-batch.

    The loss reads the weight of the LM head without calling the head or the causal LM, so neither of them can be the root.
    With this root, embeddings, final norm and head are in the root's parameter group: the loss sees the whole matrix, tied or
    not, and FSDP2's backward hook sums its gradient over the ranks. Calling `full_tensor()` on the head instead would leave
    every rank with the gradient of its own rows only.
    """

    def __init__(self, model: Any) -> None:
        nn.Module.__init__(self)
        self.model = model

    def forward(self, batch: PackedBatch, label_smoothing: float) -> torch.Tensor:
        """Weighted sum of cross-entropy (nats) over the supervised tokens of a micro-batch; a scalar."""
        return summed_loss(self.model, batch, label_smoothing=label_smoothing)


def check_sharding(settings: TrainSettings, ranks: Ranks) -> None:
    """Raises RecipeError, naming the setting, for what sharded parameters cannot do exactly."""
    if not ranks.sharded:
        return
    if settings.optimizer != "adamw":
        why = "Muon needs whole matrices" if settings.optimizer == "muon" else "8-bit states need whole tensors"
        raise RecipeError(
            f"{settings.optimizer} does not work with fsdp: {why}",
            where="train.optimizer",
            hint="set `optimizer: adamw` or `strategy: ddp` under `train:`",
        )
    if settings.method == "qlora":
        hint = "set `strategy: ddp` or `method: lora` under `train:`"
        raise RecipeError("a 4-bit base cannot be sharded under fsdp", where="train.method", hint=hint)


def to_device(model: Any) -> Any:
    """Move the model to this rank's device. A 4-bit base is there already; a model on the meta device stays on it."""
    if not is_meta(model) and next(model.parameters()).device != rank_device():
        model.to(rank_device())
    return model


def wrap_model(model: Any, ranks: Ranks) -> Ranks:
    """Move the model to this rank's device; under fsdp shard every tensor along dimension 0, layer by layer.

    Works in place. The returned ranks carry the root module that `micro_batch_loss` calls. Gradients are summed over ranks and
    micro-batches in fp32, never averaged, because the loss is already divided by the weight of the whole step. Trainable bf16
    weights are kept as fp32 slices, which serve as the optimizer's master weights, and are rounded when they are gathered.
    A rank whose model is on the meta device is sent its slices by rank 0. Raises Misuse for a model without layer classes, or
    with trainable weights in more than one precision.
    """
    to_device(model)
    if not ranks.sharded:
        return ranks
    meta = meta_ranks(model, ranks)
    compute_dtype = _compute_dtype(model)
    names = set(unwrap_peft(model)._no_split_modules or ())
    layers = [module for module in model.modules() if type(module).__name__ in names]
    if not layers:
        kind = unwrap_peft(model).config.model_type
        raise Misuse(
            f"the {kind} model names no layer classes to shard",
            where="train.strategy",
            hint="set `train: {strategy: ddp}`",
        )
    root = LossRoot(model)
    mesh = init_device_mesh(rank_device().type, (ranks.size,))
    # Inputs are not cast: token weights of the loss are fp32 whatever the model computes in.
    policy = MixedPrecisionPolicy(compute_dtype, torch.float32, cast_forward_inputs=False)
    done: set[nn.Module] = set()
    for module in (*layers, root):
        inside = [submodule for submodule in module.modules() if submodule not in done]
        whole = [value.detach() for value in own_tensors(inside)] if meta else []
        _widen_to_fp32(module)
        sharded: FSDPModule = fully_shard(module, mesh=mesh, mp_policy=policy)
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
        # A padding micro-batch (weight 0) does not reach the head, but the head's gradients of the other ranks must be summed.
        sharded.set_reduce_scatter_unused_params(True)
        if meta:
            send_weights(inside, whole, ranks=ranks, meta=meta)
        done.update(inside)
    return replace(ranks, root=root)


def _compute_dtype(model: nn.Module) -> torch.dtype | None:
    """The half precision that trainable weights compute in, or None when they are in fp32."""
    kinds = {value.dtype for value in model.parameters() if value.requires_grad}
    halves = kinds & set(HALF_DTYPES)
    if halves and len(kinds) > 1:
        names = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        what = f"trainable weights are in {names}, but fsdp computes in one precision"
        raise Misuse(what, where="train.strategy", hint="set `train: {strategy: ddp}`")
    return halves.pop() if halves else None


def _widen_to_fp32(module: nn.Module) -> None:
    """Convert trainable half-precision weights to fp32: FSDP2 adds the gradients of micro-batches in the precision of its
    slices, whatever the precision of its sum over ranks."""
    for value in module.parameters():
        if value.requires_grad and value.dtype in HALF_DTYPES:
            value.data = value.data.float()


def micro_batch_loss(
    model: Any, batch: Any, batching: Batching = PACKED_BATCHING, *, ranks: Ranks, label_smoothing: float = 0.0
) -> torch.Tensor:
    """The loss of one micro-batch as the task sums it (nats, a scalar). Under FSDP2 it runs through the root module, which
    gathers the parameters; only decoders are sharded."""
    if ranks.root is None:
        return batching.loss(model, batch, label_smoothing=label_smoothing)
    loss: torch.Tensor = ranks.root(batch, label_smoothing)
    return loss


def reshard(ranks: Ranks) -> None:
    """Free the gathered parameters after forwards without a backward, so that reads and writes go to the slices again."""
    if ranks.root is not None:
        for module in ranks.root.modules():
            if isinstance(module, FSDPModule):
                module.reshard()


def gather_model(model: Any, ranks: Ranks, fresh: Callable[[], Any]) -> Any:
    """The whole trained model on rank 0; on other ranks the model itself. Under fsdp `fresh` builds the model that the trained
    weights are copied into."""
    if not ranks.sharded:
        return model
    reshard(ranks)
    whole = fresh() if ranks.is_main else None
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
