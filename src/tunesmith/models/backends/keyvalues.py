"""Keys and values of the tokens seen so far, and the attention that reads them. Registered once with transformers.

Rows are left-aligned and of different lengths: token t of row b lies in a slot that the caller names, and each query
sees the slots that the caller lists. So no position is spent on padding, rows stop on their own, and the branches of a
label trie live side by side in one row. As for `tunesmith_packed`, the name is not in transformers' mask registry, so
the model passes mask None and hands `seen` through to every layer.
"""

from dataclasses import dataclass, field
from typing import Any

from tunesmith import process
from tunesmith.errors import Misuse

process.prepare()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention  # noqa: E402
from transformers import AttentionInterface  # noqa: E402

NAME = "tunesmith_cached"


@dataclass
class KeyValues:
    """Per layer two tensors [B, K, capacity, D]. Zeroed, because a masked NaN would still spoil a weighted sum.

    Between `aim` and the end of a forward, `mask` [B or 1, 1, Q, used] is what is added to the scores.
    """

    capacity: int
    layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    slots: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    rows: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    mask: torch.Tensor | None = None
    used: int = 0

    def aim(self, slots: torch.Tensor, visible: torch.Tensor) -> None:
        """Aim the next forward: token q of row b goes into slot `slots[b, q]` and sees the slots where `visible` [B, Q, used]
        is true (B is 1 when all rows see alike)."""
        self.slots, self.used = slots, visible.shape[-1]
        self.rows = torch.arange(slots.shape[0], device=slots.device)[:, None]
        self.mask = torch.zeros(visible.shape, device=visible.device).masked_fill_(~visible, -torch.inf)[:, None]

    def extend(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write key and value [B, K, Q, D] of a layer into the aimed slots; views [B, K, used, D] of all slots so far."""
        if layer not in self.layers:
            self.layers[layer] = (self._room(key), self._room(value))
        keys, values = self.layers[layer]
        keys[self.rows, :, self.slots] = key.transpose(1, 2)
        values[self.rows, :, self.slots] = value.transpose(1, 2)
        return keys[:, :, : self.used], values[:, :, : self.used]

    def _room(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_zeros((like.shape[0], like.shape[1], self.capacity, like.shape[3]))

    def expanded(self, rows: int, capacity: int) -> "KeyValues":
        """A copy of a one-row cache for `rows` rows with more room: a prefix that all rows share is computed once."""
        other = KeyValues(capacity)
        for layer, pair in self.layers.items():
            other.layers[layer] = (_copied(pair[0], rows, capacity), _copied(pair[1], rows, capacity))
        return other

    def keep(self, rows: torch.Tensor) -> None:
        """Drop every row but these [n]."""
        for layer, (keys, values) in self.layers.items():
            self.layers[layer] = (keys.index_select(0, rows), values.index_select(0, rows))

    def grow(self, capacity: int) -> None:
        """Make room for at least `capacity` slots a row."""
        if capacity > self.capacity:
            for layer, (keys, values) in self.layers.items():
                rows = keys.shape[0]
                self.layers[layer] = (_copied(keys, rows, capacity), _copied(values, rows, capacity))
            self.capacity = capacity


def _copied(source: torch.Tensor, rows: int, capacity: int) -> torch.Tensor:
    target = source.new_zeros((rows, source.shape[1], capacity, source.shape[3]))
    target[:, :, : source.shape[2]] = source
    return target


def cached_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    seen: KeyValues | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """query [B, H, Q, D], key and value [B, K, Q, D] with K dividing H; returns [B, Q, H, D].

    Raises Misuse for what it cannot do exactly: dropout, soft cap, attention sinks, a sliding window shorter than a row.
    """
    if seen is None or seen.mask is None or attention_mask is not None:
        raise Misuse("cached attention needs its own cache and no mask", hint="call the model through backends.engine")
    if dropout or options.get("softcap") or options.get("s_aux") is not None:
        raise Misuse("this model's attention (dropout, soft cap or sinks) is not supported")
    window = options.get("sliding_window")
    if window is not None and seen.used > window:
        raise Misuse(f"a row is longer than the model's sliding window of {window} tokens")
    keys, values = seen.extend(int(module.layer_idx), key, value)  # type: ignore[arg-type]
    output = scaled_dot_product_attention(
        query,
        keys,
        values,
        attn_mask=seen.mask.to(query.dtype),
        scale=scaling,
        enable_gqa=query.shape[1] != keys.shape[1],
    )
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, cached_attention)
