"""The end of the trunk: what the last decoder layer would compute for a token whose hidden state nothing reads is left out.

Keys and values of the last layer are needed for every token; its queries, output projection and feed-forward only where the
head reads. Each of these works row by row, so its other rows are not computed but set to zero: they reach neither the loss
nor any gradient. `check.check_packable` compares values and gradients with those of the whole layer before it is used.
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
"""Parts of a decoder layer that may be cut down. A layer that calls them otherwise keeps those it does not have."""


@dataclass(frozen=True)
class LastLayerRows:
    """What the last layer computes of a pass of `total` tokens: rows `index` [U] int64, ascending.

    `segments` hold the queries that are asked, off CUDA with their `arrangement`.
    """

    index: torch.Tensor
    total: int
    segments: tuple[Segment, ...]
    arrangement: AttentionPlan | None


class _PruningHooks:
    """Hooks of one last layer. They stay on it, since a layer that is recomputed in the backward pass must be cut down again;
    a call without `ending` is left alone."""

    def __init__(self, layer: nn.Module, parts: list[nn.Module]) -> None:
        self.ending: LastLayerRows | None = None
        self.handles = [layer.register_forward_pre_hook(self.enter, with_kwargs=True)]
        for part in parts:
            self.handles += [part.register_forward_pre_hook(self.take), part.register_forward_hook(self.put)]

    def enter(self, _: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """The layer is called: attention gets the segments whose queries are asked."""
        self.ending = kwargs.get("ending")
        if self.ending is None:
            return args, kwargs
        return args, {**kwargs, "segments": self.ending.segments, "arrangement": self.ending.arrangement}

    def take(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """[1, T, D] to the rows that are read, [1, U, D]."""
        if self.ending is None:
            return args
        return (args[0].index_select(1, self.ending.index), *args[1:])

    def put(self, _: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        """[1, U, D] back to [1, T, D], zeros elsewhere."""
        if self.ending is None:
            return out
        if not isinstance(out, torch.Tensor) or out.shape[:-1] != (1, len(self.ending.index)):
            raise Misuse("a part of the last layer gives back something else than a row for each row")
        whole = out.new_zeros(1, self.ending.total, out.shape[-1])
        return whole.index_copy_(1, self.ending.index, out)


_PRUNED_MODELS: "WeakKeyDictionary[nn.Module, _PruningHooks]" = WeakKeyDictionary()


def prune_last_layer(causal: Any) -> bool:
    """Let the last layer of a causal LM be cut down from now on; False where it has no part that can be."""
    if causal in _PRUNED_MODELS:
        return True
    layers = getattr(causal.base_model, "layers", None)
    if not isinstance(layers, nn.ModuleList) or not len(layers):
        return False
    last = layers[-1]
    inner = dict(last.named_modules())
    parts = [inner[name] for name in PRUNABLE_MODULES if name in inner]
    if parts:
        _PRUNED_MODELS[causal] = _PruningHooks(last, parts)
    return bool(parts)


def restore_last_layer(causal: Any) -> None:
    """Undo `cut_down`."""
    hooks = _PRUNED_MODELS.pop(causal, None)
    for handle in hooks.handles if hooks is not None else []:
        handle.remove()


def is_last_layer_pruned(causal: Any) -> bool:
    """Whether an ending reaches the last layer."""
    return causal in _PRUNED_MODELS
