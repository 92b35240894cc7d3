"""KV cache with per-row slots, and the layout of the tokens of one forward.

Rows are left-aligned and may have different lengths. The caller names the slot into which each token is written and the slots
that each query sees. No position is spent on padding, rows end independently, and the branches of a label trie can lie side by
side in one row. The tokens of a forward pass through the trunk as one flat sequence without padding; only attention arranges
their queries as a grid [B, Q]. A long prefix that all rows share is stored once.

Dimensions: B rows, Q grid columns, T flat tokens, H query heads, K key heads, D head size, P prefix slots.
"""

from dataclasses import dataclass, field

import torch

from tunesmith.errors import Misuse

MIN_SINGLE_COPY_TOKENS = 128
"""A shorter shared prefix is copied into every row: one kernel over all keys is then faster than attention in two segments."""

LayerKeyValues = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class ForwardLayout:
    """Where the tokens of one forward stand. Token q of row b exists where `present` [B, Q] is true. It has position
    `positions[b, q]` in its own row, is written into slot `slots[b, q]`, and sees the slots where `visible` [B or 1, Q, used]
    is true, its own included.

    `visible` has one row when all rows see the same slots. Every query, present or not, must see at least one slot behind the
    shared prefix, and sees the whole prefix. `causal`: slots equal positions, and each query sees all slots up to its own.
    """

    slots: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor
    present: torch.Tensor
    causal: bool = False


def next_token_layout(lengths: torch.Tensor) -> ForwardLayout:
    """Layout of one more token for rows of `lengths` [B] tokens."""
    used = int(lengths.max()) + 1
    visible = torch.arange(used, device=lengths.device) <= lengths[:, None]
    positions = lengths[:, None]
    return ForwardLayout(positions, positions, visible[:, None], torch.ones_like(positions, dtype=torch.bool))


def chunk_layout(start: int, lengths: torch.Tensor) -> ForwardLayout:
    """Layout of the next `lengths` [B] tokens of rows that all hold `start` tokens. A length may be 0."""
    width = int(lengths.max())
    columns = torch.arange(width, device=lengths.device)
    positions = (start + columns).expand(len(lengths), width)
    visible = torch.arange(start + width, device=lengths.device) <= (start + columns)[:, None]
    return ForwardLayout(positions, positions, visible[None], columns < lengths[:, None], causal=start == 0)


def _empty_index() -> torch.Tensor:
    return torch.zeros((0, 0), dtype=torch.int64)


@dataclass
class KVCache:
    """Keys and values per layer, two tensors [B, K, slots, D], and the position of the token in every slot. `prefix` holds
    two tensors [K, P, D] per layer for the first P slots of all rows. `capacity` counts slots, prefix included.

    Unused slots are zero, because a masked NaN would still spoil a weighted sum. `rows`, `columns` and `slots` [T] locate the
    tokens of the current layout: in the grid, and behind the prefix. `windows` records the window that each layer requested.
    """

    capacity: int
    layers: dict[int, LayerKeyValues] = field(default_factory=dict)
    prefix: dict[int, LayerKeyValues] = field(default_factory=dict)
    prefix_length: int = 0
    positions: torch.Tensor = field(default_factory=_empty_index)
    current: ForwardLayout | None = None
    rows: torch.Tensor = field(default_factory=_empty_index)
    columns: torch.Tensor = field(default_factory=_empty_index)
    slots: torch.Tensor = field(default_factory=_empty_index)
    masks: dict[tuple[int | None, int], torch.Tensor] = field(default_factory=dict)
    windows: dict[int, int | None] = field(default_factory=dict)

    def set_layout(self, layout: ForwardLayout) -> None:
        """Set the layout of the next forward, which receives the present tokens row by row."""
        self.current = layout
        self.masks = {}
        self.rows, self.columns = layout.present.nonzero(as_tuple=True)
        self.slots = layout.slots[self.rows, self.columns] - self.prefix_length
        if not self.positions.numel():
            self.positions = self._default_positions(len(layout.slots), self.capacity, layout.slots.device)
        self.positions[self.rows, self.slots] = layout.positions[self.rows, self.columns]

    def write(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> LayerKeyValues:
        """Write key and value [K, T, D] of a layer into the slots of the layout.

        Returns views [B, K, used, D] of all used slots behind the prefix.
        """
        if layer not in self.layers:
            self.layers[layer] = (self._empty_slots(key), self._empty_slots(value))
        keys, values = self.layers[layer]
        keys[self.rows, :, self.slots] = key.transpose(0, 1)
        values[self.rows, :, self.slots] = value.transpose(0, 1)
        used = self._layout.visible.shape[-1] - self.prefix_length
        return keys[:, :, :used], values[:, :, :used]

    def to_grid(self, query: torch.Tensor) -> torch.Tensor:
        """Queries [H, T, D] of the flat tokens as [B, H, Q, D]; zero where no token is present."""
        rows, columns = self._layout.slots.shape
        if rows * columns == query.shape[1]:
            return query.reshape(len(query), rows, columns, -1).transpose(0, 1)
        grid = query.new_zeros((rows, columns, query.shape[0], query.shape[2]))
        grid[self.rows, self.columns] = query.transpose(0, 1)
        return grid.transpose(1, 2)

    def to_flat(self, output: torch.Tensor) -> torch.Tensor:
        """[B, H, Q, D] of the grid as [T, H, D] of the flat tokens."""
        return output.transpose(1, 2)[self.rows, self.columns]

    def visibility_mask(self, window: int | None, groups: int) -> torch.Tensor:
        """[B or 1, 1, groups x Q, used] bool: the slots, prefix first, that each query sees in a layer with this window.

        A window counts positions of the token's own row, itself included: a branch sees as far back as if it were alone.
        """
        key = (window if self.is_window_binding(window) else None, groups)
        if key not in self.masks:
            visible = self._layout.visible
            mask = visible if key[0] is None else visible & self._within_window(key[0])
            self.masks[key] = mask.repeat(1, groups, 1)[:, None]
        return self.masks[key]

    def is_causal(self, window: int | None) -> bool:
        """Whether the mask would hide only later positions of the same row, so that `is_causal=True` replaces it."""
        return self._layout.causal and not self.is_window_binding(window)

    def is_window_binding(self, window: int | None) -> bool:
        """Whether a window can hide a slot from a query of the current forward."""
        return window is not None and window < self._layout.visible.shape[-1]

    def _within_window(self, window: int) -> torch.Tensor:
        """[B or 1, Q, used] bool: the slots whose position lies in the window of each query."""
        count, used = len(self._layout.visible), self._layout.visible.shape[-1]
        prefix = torch.arange(self.prefix_length, device=self.positions.device).expand(count, -1)
        positions = torch.cat([prefix, self.positions[:count, : used - self.prefix_length]], dim=1)
        return self._layout.positions[:count, :, None] - positions[:, None] < window

    @property
    def _layout(self) -> ForwardLayout:
        if self.current is None:
            raise Misuse("the KV cache has no layout", hint="call the model through backends.engine.Engine.forward")
        return self.current

    def _empty_slots(self, like: torch.Tensor) -> torch.Tensor:
        slots = self.capacity - self.prefix_length
        return like.new_zeros((len(self._layout.slots), like.shape[0], slots, like.shape[2]))

    def _default_positions(self, rows: int, capacity: int, device: torch.device) -> torch.Tensor:
        """[rows, slots] position of every slot behind the prefix, valid as long as nothing branches."""
        return torch.arange(self.prefix_length, capacity, device=device).repeat(rows, 1)

    @property
    def is_single_copy(self) -> bool:
        """Whether the content of this one-row cache is long enough to be stored once for all rows."""
        return self.capacity >= MIN_SINGLE_COPY_TOKENS

    def replace_rows(self, rows: torch.Tensor, other: "KVCache") -> None:
        """Replace rows [n] with the rows of another cache, in its order; the replaced rows are never seen again.

        The other cache has the same prefix and at most as many slots, each slot equal to its position.
        """
        for layer, pair in self.layers.items():
            for mine, theirs in zip(pair, other.layers[layer], strict=True):
                mine[rows, :, : theirs.shape[2]] = theirs

    def expand(self, rows: int, capacity: int, *, single_copy: bool | None = None) -> "KVCache":
        """A cache for `rows` rows that all begin with the content of this one-row cache, with room for more.

        `single_copy`: store that prefix once for all rows. None decides by its length.
        """
        if self.is_single_copy if single_copy is None else single_copy:
            prefix = {layer: (keys[0], values[0]) for layer, (keys, values) in self.layers.items()}
            return KVCache(capacity, prefix=prefix, prefix_length=self.capacity)
        other = KVCache(capacity)
        for layer, (keys, values) in self.layers.items():
            other.layers[layer] = (
                _copy_with_capacity(keys, rows, capacity),
                _copy_with_capacity(values, rows, capacity),
            )
        return other

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Drop every row except these [n]."""
        for layer, (keys, values) in self.layers.items():
            self.layers[layer] = (keys.index_select(0, rows), values.index_select(0, rows))
        self.positions = self.positions.index_select(0, rows)

    def grow(self, capacity: int) -> None:
        """Make room for at least `capacity` slots per row."""
        if capacity <= self.capacity:
            return
        rows, slots = len(self.positions), capacity - self.prefix_length
        for layer, (keys, values) in self.layers.items():
            self.layers[layer] = (_copy_with_capacity(keys, rows, slots), _copy_with_capacity(values, rows, slots))
        positions = self._default_positions(rows, capacity, self.positions.device)
        positions[:, : self.positions.shape[1]] = self.positions
        self.positions, self.capacity = positions, capacity


def _copy_with_capacity(source: torch.Tensor, rows: int, capacity: int) -> torch.Tensor:
    """[rows, K, capacity, D]: the source [rows or 1, K, slots, D] followed by zeros."""
    target = source.new_zeros((rows, source.shape[1], capacity, source.shape[3]))
    target[:, :, : source.shape[2]] = source
    return target
