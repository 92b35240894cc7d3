"""Whether a model can be packed, and share prefixes, exactly: tried on short rows before training, not guessed from its name."""

from collections.abc import Sequence
from typing import Any, Final

from tunesmith import process
from tunesmith.data.chat import Encoded
from tunesmith.errors import Misuse
from tunesmith.models.loading import context_length
from tunesmith.models.packed.ending import cut_down, leave_whole
from tunesmith.models.packed.forward import hidden_states, unwrapped
from tunesmith.models.packed.head import head_logits
from tunesmith.models.packed.layout import lay_out
from tunesmith.models.packed.plan import Pass, pack

process.prepare()

import torch  # noqa: E402
from torch import nn  # noqa: E402

LENGTH = 6
ALONE: Final = "give a base whose layers are attention and feed-forward alone"
TOLERANCE: Final = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Largest relative difference (norm) that rounding explains; what a family does otherwise is far above it."""

SMALL: Final = 1e-3
"""A gradient this much smaller than the largest of a layer is compared as if it were this large."""


def check_packable(model: nn.Module) -> None:
    """Raises Misuse, naming the family, when a packed row is not what the model itself makes of it.

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
    with _Quiet(model):
        _check_reached(model, kind)
        second = _row(0)
        behind_one, behind_other = (_hidden(model, [_row(start), second])[LENGTH:] for start in (LENGTH, 2 * LENGTH))
        mine = head_logits(unwrapped(model), behind_one).to(behind_one.dtype)
        unwrapped(model).set_attn_implementation("eager")
        theirs = unwrapped(model)(input_ids=torch.tensor([second.ids], device=mine.device)).logits[0].to(mine.dtype)
    if not (torch.equal(behind_one, behind_other) or (_has_experts(model) and _close(behind_one, behind_other))):
        raise Misuse(f"rows of a {kind} model see each other when they are packed", where="base", hint=ALONE)
    if not _close(mine, theirs):
        raise Misuse(f"a packed row of a {kind} model differs from the same row alone", where="base", hint=ALONE)
    with _Quiet(model):
        _try_ending(model)


def _try_ending(model: nn.Module) -> None:
    """Cut the last layer down and compare what is read, and the gradients of that layer, with the whole layer's."""
    causal = unwrapped(model)
    if not cut_down(causal):
        return
    rows = [_encoded((*_row(0).ids, *_row(start).ids), ((9, 11),)) for start in (LENGTH, 2 * LENGTH)]
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


def _check_reached(model: nn.Module, kind: str) -> None:
    asked: dict[int, int | None] = {}
    try:
        hidden_states(model, pack([_row(0)], _device(model)), asked)
    except Misuse as error:
        raise Misuse(f"a {kind} model cannot be packed exactly: {error.what}", where="base", hint=ALONE) from error
    if wrong := wrong_window(unwrapped(model), asked):
        raise Misuse(f"a {kind} model cannot be packed exactly: {wrong}", where="base", hint=ALONE)


def wrong_window(causal: Any, asked: dict[int, int | None]) -> str | None:
    """What is wrong with the windows that layers `asked` of their attention, or None.

    The trial's rows are too short to reach a window, and some families put theirs into a mask of their own.
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


def shares_exactly(model: nn.Module) -> bool:
    """Whether rows that begin alike come out of one shared pass as they come out of separate rows, within rounding."""
    rows = sharing_rows()
    with _Quiet(model):
        separate = _hidden(model, rows)
        shared = hidden_states(model, pack(rows, _device(model), share=True))
    paths = lay_out(rows, share=True).paths
    places = [place for path in paths for start, end in path for place in range(start, end)]
    return _close(shared[places], separate)


def sharing_rows() -> list[Encoded]:
    """Rows that share a little, and so many that share a lot that on a CPU it is kept in place (see rooted.py)."""
    prefix, tail = _row(0).ids, _row(LENGTH).ids
    many = [_encoded(prefix * 4 + (first, second)) for first in tail for second in tail[:2]]
    return [*many, _encoded(prefix + tail), _encoded(prefix + tail[::-1]), _encoded(prefix[:3] + tail)]


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


def _row(start: int) -> Encoded:
    return _encoded(tuple(range(start, start + LENGTH)))


def _encoded(ids: tuple[int, ...], spans: tuple[tuple[int, int], ...] = ()) -> Encoded:
    return Encoded("tried", ids, spans)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _hidden(model: nn.Module, rows: Sequence[Encoded]) -> torch.Tensor:
    return hidden_states(model, pack(rows, _device(model)))


def _has_experts(model: nn.Module) -> bool:
    """A mixture of experts multiplies as many tokens at once as chose the expert, which changes the rounding of each."""
    config = unwrapped(model).config.get_text_config()
    return any(getattr(config, name, None) for name in ("num_local_experts", "num_experts"))


def _close(mine: torch.Tensor, theirs: torch.Tensor, floor: float = 0.0) -> bool:
    return float((mine - theirs).norm()) <= TOLERANCE[mine.dtype] * max(float(theirs.norm()), floor)
