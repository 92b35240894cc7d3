"""Whether a model can be packed, and share prefixes, exactly: tried on ordinary text, not guessed from its name."""

from collections.abc import Sequence
from typing import Any, Final

from tunesmith import process
from tunesmith.data.chat import Encoded
from tunesmith.errors import Misuse
from tunesmith.models.agreement import Agreement, Ids, agreement, has_experts, own_logits, places_of
from tunesmith.models.loading import context_length
from tunesmith.models.packed.ending import cut_down, leave_whole
from tunesmith.models.packed.forward import hidden_states, unwrapped
from tunesmith.models.packed.head import head_logits
from tunesmith.models.packed.layout import lay_out
from tunesmith.models.packed.plan import Pass, pack
from tunesmith.models.probes import Probes, make_probes

process.prepare()

import torch  # noqa: E402
from torch import nn  # noqa: E402
from transformers import PreTrainedTokenizerBase  # noqa: E402

SHORT: Final = 5
LENGTH: Final = 16
DOUBLE: Final = 32
"""Tokens of the rows that are packed."""

PREFIX: Final = 24
BRANCHES: Final = 12
"""A prefix of so many tokens before so many rows is kept in place on a CPU (see rooted.py)."""

COMPARED: Final = (0, 1, BRANCHES - 2, BRANCHES, BRANCHES + 1, BRANCHES + 2)
"""Of the rows that share, those that are compared with the model's own forward; the others are there to be shared with."""

ROW: Final = slice(LENGTH, 2 * LENGTH)
"""The row in the middle of the packed ones, whose neighbours are changed."""

ALONE: Final = "give a base whose layers are attention and feed-forward alone"
TOLERANCE: Final = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Largest relative difference (norm) of hidden states or gradients of one row computed among more or fewer rows."""

SMALL: Final = 1e-3
"""A gradient this much smaller than the largest of a layer is compared as if it were this large."""


def check_packable(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Agreement:
    """Raises Misuse, naming the family, when a packed row is not what the model itself makes of it; else says how near it is.

    Refused: dropout that is left on; rows that see each other in a pack (convolutions, state spaces), found by changing a
    neighbour and comparing bit for bit; attention or a head that does more than ours does, found by comparing with the
    model's own forward. Mode and attention of the model are left as they were found. Its last layer is cut down from here on
    to the rows that a pass reads, where that gives the same (see `ending`).
    """
    kind = unwrapped(model).config.model_type
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in _base_modules(model)):
        hint = "set every dropout of its config.json to 0; resuming to the same bytes needs it"
        raise Misuse(f"the {kind} model has dropout", where="base", hint=hint)
    if getattr(unwrapped(model).config.get_text_config(), "output_router_logits", False):
        hint = "set output_router_logits to false in its config.json"
        raise Misuse(
            f"the {kind} model asks for an auxiliary loss of its routers, which is not computed",
            where="base",
            hint=hint,
        )
    probes = make_probes(unwrapped(model), tokenizer)
    with _Quiet(model):
        _check_reached(model, kind, probes)
        rows = _lone_rows(probes)
        hidden, moved = (_hidden(model, [rows[at] for at in order]) for order in (range(len(rows)), _swapped(rows)))
        apart = torch.equal(hidden[ROW], moved[ROW])
        if not (apart or (has_experts(unwrapped(model)) and _close(hidden[ROW], moved[ROW]))):
            raise Misuse(f"rows of a {kind} model see each other when they are packed", where="base", hint=ALONE)
        found = _agrees(model, rows, hidden, share=False)
    if not found.agrees:
        what = f"a packed row of a {kind} model differs from the same row alone: {found.told()}"
        raise Misuse(what, where="base", hint=ALONE)
    with _Quiet(model):
        _try_ending(model, probes)
    return found


def sharing(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Agreement:
    """How near rows that begin alike, computed in one shared pass, come to what the model itself makes of each alone."""
    rows = sharing_rows(make_probes(unwrapped(model), tokenizer))
    with _Quiet(model):
        return _agrees(model, rows, _hidden(model, rows, share=True), share=True)


def sharing_rows(probes: Probes) -> list[Ids]:
    """Rows that share a little, and so many that share a lot that on a CPU it is kept in place (see rooted.py).

    Where the model has a window, two share more than it holds.
    """
    prefix = probes.row(0, PREFIX)
    many = [prefix + probes.row(PREFIX + 4 * at, 4) for at in range(BRANCHES - 2)]
    deeper = [(*many[0][:-1], probes.row(at, 1)[0]) for at in (1, 2)]
    little = [prefix[:9] + probes.row(PREFIX, SHORT), prefix[:3] + probes.row(DOUBLE, SHORT + 6)]
    if probes.long is None:
        return [*many, *deeper, *little]
    ahead = probes.row(1, probes.long - 6)
    return [*many, *deeper, *little, *(ahead + probes.row(start, 6) for start in (DOUBLE, 2 * DOUBLE))]


def _lone_rows(probes: Probes) -> list[Ids]:
    """Rows of several lengths, one of them beyond the model's windows. The second stands between two of equal length."""
    rows = [probes.row(start, LENGTH) for start in (0, LENGTH, 2 * LENGTH)]
    rows += [probes.row(3 * LENGTH, DOUBLE), probes.row(5, SHORT)]
    return rows if probes.long is None else [*rows, probes.row(2, probes.long)]


def _swapped(rows: Sequence[Ids]) -> list[int]:
    """The order of the lone rows in which the second one has the other's neighbour on either side."""
    return [2, 1, 0, *range(3, len(rows))]


def _agrees(model: nn.Module, rows: Sequence[Ids], hidden: torch.Tensor, *, share: bool) -> Agreement:
    """Logits from the hidden states of a pass of these rows against those of the model itself."""
    causal = unwrapped(model)
    chosen = [rows[at] for at in COMPARED if at < len(rows)] if share else rows
    places = places_of(chosen, int(causal.get_input_embeddings().weight.shape[0]))
    paths = lay_out([_encoded(row) for row in rows], share=share).paths
    mine = []
    for row, some in zip(chosen, places, strict=True):
        path = [at for start, end in paths[rows.index(row)] for at in range(start, end)]
        mine.append(head_logits(causal, hidden[[path[place] for place in some]]))
    return agreement(mine, own_logits(causal, chosen, places))


def _try_ending(model: nn.Module, probes: Probes) -> None:
    """Cut the last layer down and compare what is read, and the gradients of that layer, with the whole layer's."""
    causal = unwrapped(model)
    if not cut_down(causal):
        return
    rows = [_encoded(probes.row(0, 6) + probes.row(start, 6), ((9, 11),)) for start in (LENGTH, 2 * LENGTH)]
    batch = pack(rows, _device(model))
    moved = [value for value in causal.base_model.layers[-1].parameters() if value.requires_grad]
    try:
        found = _read(model, batch, moved, read_only=True)
    except Misuse:
        leave_whole(causal)
        return
    expected = _read(model, batch, moved, read_only=False)
    # A bias on the keys changes nothing and its gradient is rounding alone, hence a floor under what counts as different.
    floor = SMALL * max(float(one.norm()) for one in expected)
    if not all(_close(mine, theirs, floor) for mine, theirs in zip(found, expected, strict=True)):
        leave_whole(causal)


def _read(model: nn.Module, batch: Pass, moved: list[nn.Parameter], *, read_only: bool) -> list[torch.Tensor]:
    """Hidden states that the pass reads, and gradients of a weighted sum of them; zeros for a tensor without one."""
    with torch.set_grad_enabled(bool(moved)):
        states = hidden_states(model, batch, read_only=read_only).index_select(0, batch.index)
        slope = torch.linspace(-1.0, 1.0, states.shape[-1], device=states.device, dtype=states.dtype)
        found = torch.autograd.grad((states * slope).sum(), moved, allow_unused=True) if moved else ()
    gradients = [torch.zeros_like(value) if one is None else one for one, value in zip(found, moved, strict=True)]
    return [states.detach(), *gradients]


def _check_reached(model: nn.Module, kind: str, probes: Probes) -> None:
    asked: dict[int, int | None] = {}
    try:
        hidden_states(model, pack([_encoded(probes.row(0, SHORT))], _device(model)), asked)
    except Misuse as error:
        raise Misuse(f"a {kind} model cannot be packed exactly: {error.what}", where="base", hint=ALONE) from error
    if wrong := wrong_window(unwrapped(model), asked):
        raise Misuse(f"a {kind} model cannot be packed exactly: {wrong}", where="base", hint=ALONE)


def wrong_window(causal: Any, asked: dict[int, int | None]) -> str | None:
    """What is wrong with the windows that layers `asked` of their attention, or None.

    Not every row reaches every window, and some families put theirs into a mask of their own.
    """
    text, context = causal.config.get_text_config(), context_length(causal)
    kinds = getattr(text, "layer_types", None) or [None] * len(asked)
    for layer, window in asked.items():
        declared = _declared(text, kinds[layer])
        if _reached(declared, context) != _reached(window, context):
            what = f"layer {layer} of a {causal.config.model_type} model declares a window of {declared} tokens"
            return f"{what}, and its attention is told {window}"
    return None


def _declared(config: Any, kind: str | None) -> int | None:
    """The window of a layer of this kind by the config; None as kind: the family has one kind."""
    if kind == "chunked_attention":
        return int(config.attention_chunk_size)
    window = getattr(config, "sliding_window", None)
    return int(window) if window is not None and kind in (None, "sliding_attention") else None


def _reached(window: int | None, context: int) -> int | None:
    return None if window is None or window >= context else window


class _Quiet:
    """Evaluation mode without gradients; mode and attention are put back."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __enter__(self) -> None:
        self.training, self.attention = self.model.training, unwrapped(self.model).config._attn_implementation
        self.model.eval()
        self.gradients = torch.is_grad_enabled()
        torch.set_grad_enabled(False)

    def __exit__(self, *_: object) -> None:
        torch.set_grad_enabled(self.gradients)
        unwrapped(self.model).set_attn_implementation(self.attention)
        self.model.train(self.training)


def _base_modules(model: nn.Module) -> list[nn.Module]:
    """Every module but the adapters' own."""
    return [module for name, module in model.named_modules() if "lora_dropout" not in name]


def _encoded(ids: tuple[int, ...], spans: tuple[tuple[int, int], ...] = ()) -> Encoded:
    return Encoded("tried", ids, spans)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _hidden(model: nn.Module, rows: Sequence[Ids], *, share: bool = False) -> torch.Tensor:
    return hidden_states(model, pack([_encoded(row) for row in rows], _device(model), share=share))


def _close(mine: torch.Tensor, theirs: torch.Tensor, floor: float = 0.0) -> bool:
    return float((mine - theirs).norm()) <= TOLERANCE[mine.dtype] * max(float(theirs.norm()), floor)
