"""Skip the parts of the last decoder layer whose result nothing reads.

The last layer needs keys and values of every token, but queries, output projection and feed-forward only where the loss reads
a hidden state. These modules work token by token, so the other tokens are left out of their input and zeros stand in their
output: they reach neither the loss nor a gradient. `exactness.check_packable` compares values and gradients with those of the
whole layer before a model is pruned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import torch
from torch import nn

from tunesmith.errors import Misuse
from tunesmith.models.packed.padded_batches import AttentionPlan
from tunesmith.models.packed.prefix_trie import Segment

PRUNABLE_MODULES: Final = ("mlp", "self_attn.q_proj", "self_attn.o_proj")
"""Names in a decoder layer. Modules that a layer does not have under these names are computed whole."""


@dataclass(frozen=True)
class LastLayerRows:
    """What the last layer computes of a batch of `total` tokens: those at `index` [U] int64, ascending.

    `segments` hold the queries that are needed; `attention_plan` is theirs, None on CUDA.
    """

    index: torch.Tensor
    total: int
    segments: tuple[Segment, ...]
    attention_plan: AttentionPlan | None


class _PruningHooks:
    """Hooks on the last layer of one model. A forward without `last_layer_rows` is not affected.

    They stay on the layer between calls, because gradient checkpointing calls it again in the backward pass.
    """

    def __init__(self, layer: nn.Module, modules: list[nn.Module]) -> None:
        self.rows: LastLayerRows | None = None
        self.handles = [layer.register_forward_pre_hook(self.enter_layer, with_kwargs=True)]
        for module in modules:
            self.handles.append(module.register_forward_pre_hook(self.select_rows))
            self.handles.append(module.register_forward_hook(self.restore_rows))

    def enter_layer(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Before the layer: give its attention the segments of the needed queries."""
        self.rows = kwargs.get("last_layer_rows")
        if self.rows is None:
            return args, kwargs
        return args, {**kwargs, "segments": self.rows.segments, "attention_plan": self.rows.attention_plan}

    def select_rows(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Before a module: its input [1, T, hidden] to [1, U, hidden]."""
        if self.rows is None:
            return args
        return (args[0].index_select(1, self.rows.index), *args[1:])

    def restore_rows(self, _: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        """After a module: its output [1, U, size] to [1, T, size], zeros elsewhere."""
        if self.rows is None:
            return out
        if not isinstance(out, torch.Tensor) or out.shape[:-1] != (1, len(self.rows.index)):
            raise Misuse("a module of the last layer does not return one row for each input row")
        whole = out.new_zeros(1, self.rows.total, out.shape[-1])
        return whole.index_copy_(1, self.rows.index, out)


_PRUNED_MODELS: "WeakKeyDictionary[nn.Module, _PruningHooks]" = WeakKeyDictionary()


def prune_last_layer(causal: Any) -> bool:
    """Prune the last layer of a causal language model from now on; False if it has no module that can be pruned."""
    if causal in _PRUNED_MODELS:
        return True
    layers = getattr(causal.base_model, "layers", None)
    if not isinstance(layers, nn.ModuleList) or not len(layers):
        return False
    last = layers[-1]
    named = dict(last.named_modules())
    modules = [named[name] for name in PRUNABLE_MODULES if name in named]
    if modules:
        _PRUNED_MODELS[causal] = _PruningHooks(last, modules)
    return bool(modules)


def restore_last_layer(causal: Any) -> None:
    """Undo `prune_last_layer`."""
    hooks = _PRUNED_MODELS.pop(causal, None)
    for handle in hooks.handles if hooks is not None else []:
        handle.remove()


def is_last_layer_pruned(causal: Any) -> bool:
    """Whether `prune_last_layer` is in effect."""
    return causal in _PRUNED_MODELS
