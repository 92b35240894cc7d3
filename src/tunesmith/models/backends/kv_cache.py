"""Keys and values of the tokens seen so far, row by row, and what the tokens of one forward see of them.

Rows are left-aligned and of different lengths: each token lies in a slot that the caller names, and each query sees the
slots that the caller lists. So no position is spent on padding, rows stop on their own, and the branches of a label trie
live side by side in one row. The tokens of a forward go through the trunk as one flat sequence without filling; only
attention lays their queries out as a grid [B, Q]. A long prefix that all rows share is held once, as their stem.
"""

from dataclasses import dataclass, field

import torch

from tunesmith.errors import Misuse

MIN_SINGLE_COPY_TOKENS = 128
"""A shorter shared prefix is copied into every row: one kernel over all keys is then faster than two parts by hand."""

LayerKeyValues = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class ForwardLayout:
    """The tokens of one forward: token q of row b, where `present` [B, Q], stands at position `positions[b, q]` of its own
    row, is written into `slots[b, q]`, and sees the slots where `visible` [B or 1, Q, used] is true, its own among them.

    B is 1 in `visible` when all rows see alike; every query, present or not, must see at least one slot behind the stem, and
    sees all of the stem. `causal` says that slot and position are one, and that each query sees all up to its own.
    """

    slots: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor
    present: torch.Tensor
    causal: bool = False


def next_token_layout(lengths: torch.Tensor) -> ForwardLayout:
    """One more token for rows of `lengths` [B] tokens."""
    used = int(lengths.max()) + 1
    visible = torch.arange(used, device=lengths.device) <= lengths[:, None]
    places = lengths[:, None]
    return ForwardLayout(places, places, visible[:, None], torch.ones_like(places, dtype=torch.bool))


def chunk_layout(start: int, lengths: torch.Tensor) -> ForwardLayout:
    """The next `lengths` [B] tokens of rows that all hold `start` tokens. A length may be 0."""
    width = int(lengths.max())
    columns = torch.arange(width, device=lengths.device)
    places = (start + columns).expand(len(lengths), width)
    visible = torch.arange(start + width, device=lengths.device) <= (start + columns)[:, None]
    return ForwardLayout(places, places, visible[None], columns < lengths[:, None], causal=start == 0)


def _empty_index() -> torch.Tensor:
    return torch.zeros((0, 0), dtype=torch.int64)


@dataclass
class KVCache:
    """Per layer two tensors [B, K, slots, D], and the position of every slot's token; `stem` has two [K, P, D] of the first
    P slots of all rows. `capacity` counts slots, stem included.

    Zeroed, because a masked NaN would still spoil a weighted sum. `rows`, `columns` and `slots` [T] are where the tokens of
    the aimed forward stand in the grid and behind the stem. `windows` is what each layer has asked for.
    """

    capacity: int
    layers: dict[int, LayerKeyValues] = field(default_factory=dict)
    stem: dict[int, LayerKeyValues] = field(default_factory=dict)
    stem_length: int = 0
    positions: torch.Tensor = field(default_factory=_empty_index)
    aimed: ForwardLayout | None = None
    rows: torch.Tensor = field(default_factory=_empty_index)
    columns: torch.Tensor = field(default_factory=_empty_index)
    slots: torch.Tensor = field(default_factory=_empty_index)
    masks: dict[tuple[int | None, int], torch.Tensor] = field(default_factory=dict)
    windows: dict[int, int | None] = field(default_factory=dict)

    def aim(self, aim: ForwardLayout) -> None:
        """Aim the next forward; it is given the present tokens row by row."""
        self.aimed = aim
        self.masks = {}
        self.rows, self.columns = aim.present.nonzero(as_tuple=True)
        self.slots = aim.slots[self.rows, self.columns] - self.stem_length
        if not self.positions.numel():
            self.positions = self._line(len(aim.slots), self.capacity, aim.slots.device)
        self.positions[self.rows, self.slots] = aim.positions[self.rows, self.columns]

    def extend(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> LayerKeyValues:
        """Write key and value [K, T, D] of a layer into the aimed slots; views [B, K, used, D] of all slots behind the stem."""
        if layer not in self.layers:
            self.layers[layer] = (self._room(key), self._room(value))
        keys, values = self.layers[layer]
        keys[self.rows, :, self.slots] = key.transpose(0, 1)
        values[self.rows, :, self.slots] = value.transpose(0, 1)
        used = self._aim.visible.shape[-1] - self.stem_length
        return keys[:, :, :used], values[:, :, :used]

    def grid(self, query: torch.Tensor) -> torch.Tensor:
        """Queries [H, T, D] of the flat tokens as [B, H, Q, D]; zero where no token is present."""
        rows, columns = self._aim.slots.shape
        if rows * columns == query.shape[1]:
            return query.reshape(len(query), rows, columns, -1).transpose(0, 1)
        laid = query.new_zeros((rows, columns, query.shape[0], query.shape[2]))
        laid[self.rows, self.columns] = query.transpose(0, 1)
        return laid.transpose(1, 2)

    def flat(self, output: torch.Tensor) -> torch.Tensor:
        """[B, H, Q, D] of the grid as [T, H, D] of the flat tokens."""
        return output.transpose(1, 2)[self.rows, self.columns]

    def visible(self, window: int | None, groups: int) -> torch.Tensor:
        """[B or 1, 1, groups x Q, used] bool: the slots, stem first, that each query sees in a layer with this window.

        A window counts places of the token's own row, itself included: a branch sees as far back as if it were alone.
        """
        key = (window if self.cuts(window) else None, groups)
        if key not in self.masks:
            seen = self._aim.visible if key[0] is None else self._aim.visible & self._within(key[0])
            self.masks[key] = seen.repeat(1, groups, 1)[:, None]
        return self.masks[key]

    def is_causal(self, window: int | None) -> bool:
        """Whether `visible` hides nothing but what comes later in the row, so that no mask is needed."""
        return self._aim.causal and not self.cuts(window)

    def cuts(self, window: int | None) -> bool:
        """Whether a window hides anything from any query of the aimed forward."""
        return window is not None and window < self._aim.visible.shape[-1]

    def _within(self, window: int) -> torch.Tensor:
        count, used = len(self._aim.visible), self._aim.visible.shape[-1]
        stem = torch.arange(self.stem_length, device=self.positions.device).expand(count, -1)
        placed = torch.cat([stem, self.positions[:count, : used - self.stem_length]], dim=1)
        return self._aim.positions[:count, :, None] - placed[:, None] < window

    @property
    def _aim(self) -> ForwardLayout:
        if self.aimed is None:
            raise Misuse("the cache was not aimed", hint="call the model through backends.engine")
        return self.aimed

    def _room(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_zeros((len(self._aim.slots), like.shape[0], self.capacity - self.stem_length, like.shape[2]))

    def _line(self, rows: int, capacity: int, device: torch.device) -> torch.Tensor:
        """Position by slot behind the stem, as it is as long as nothing branches."""
        return torch.arange(self.stem_length, capacity, device=device).repeat(rows, 1)

    @property
    def is_stem(self) -> bool:
        """Whether what this one-row cache holds is long enough to be held once for all rows."""
        return self.capacity >= MIN_SINGLE_COPY_TOKENS

    def replace(self, rows: torch.Tensor, other: "KVCache") -> None:
        """Put other rows, in their order, in the place of these [n]; nothing of the rows before is seen again.

        The other cache has the same stem and at most as many slots, each in the place of its position.
        """
        for layer, pair in self.layers.items():
            for mine, theirs in zip(pair, other.layers[layer], strict=True):
                mine[rows, :, : theirs.shape[2]] = theirs

    def expanded(self, rows: int, capacity: int, *, stem: bool | None = None) -> "KVCache":
        """A cache for `rows` rows that all begin with what this one-row cache holds, with room for more.

        `stem`: hold that beginning once for all rows; by its length when None.
        """
        if self.is_stem if stem is None else stem:
            held = {layer: (keys[0], values[0]) for layer, (keys, values) in self.layers.items()}
            return KVCache(capacity, stem=held, stem_length=self.capacity)
        other = KVCache(capacity)
        for layer, (keys, values) in self.layers.items():
            other.layers[layer] = (
                _copy_with_capacity(keys, rows, capacity),
                _copy_with_capacity(values, rows, capacity),
            )
        return other

    def keep(self, rows: torch.Tensor) -> None:
        """Drop every row but these [n]."""
        for layer, (keys, values) in self.layers.items():
            self.layers[layer] = (keys.index_select(0, rows), values.index_select(0, rows))
        self.positions = self.positions.index_select(0, rows)

    def grow(self, capacity: int) -> None:
        """Make room for at least `capacity` slots a row."""
        if capacity <= self.capacity:
            return
        rows, room = len(self.positions), capacity - self.stem_length
        for layer, (keys, values) in self.layers.items():
            self.layers[layer] = (_copy_with_capacity(keys, rows, room), _copy_with_capacity(values, rows, room))
        positions = self._line(rows, capacity, self.positions.device)
        positions[:, : self.positions.shape[1]] = self.positions
        self.positions, self.capacity = positions, capacity


def _copy_with_capacity(source: torch.Tensor, rows: int, capacity: int) -> torch.Tensor:
    target = source.new_zeros((rows, source.shape[1], capacity, source.shape[3]))
    target[:, :, : source.shape[2]] = source
    return target
