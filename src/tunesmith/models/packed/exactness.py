"""Whether a model can be packed, and share prefixes, exactly: tried on ordinary text, not guessed from its name."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from tunesmith.chat.encode import EncodedSequence
from tunesmith.errors import Misuse
from tunesmith.models.loading import context_length
from tunesmith.models.logit_agreement import (
    Agreement,
    TokenIds,
    compare_logits,
    compared_positions,
    is_mixture_of_experts,
    reference_logits,
)
from tunesmith.models.packed.forward import hidden_states, unwrap_peft
from tunesmith.models.packed.last_layer_pruning import prune_last_layer, restore_last_layer
from tunesmith.models.packed.logits import head_logits
from tunesmith.models.packed.pack import PackedBatch, pack_rows
from tunesmith.models.packed.prefix_trie import lay_out
from tunesmith.models.probe_rows import ProbeTokens, build_probe_tokens

SHORT_PROBE_TOKENS: Final = 5
PROBE_TOKENS: Final = 16
LONG_PROBE_TOKENS: Final = 32
"""Tokens of the rows that are packed."""

SHARED_PREFIX_TOKENS: Final = 24
ROWS_PER_PREFIX: Final = 12
"""A prefix of so many tokens before so many rows is kept in place on a CPU (see rooted.py)."""

COMPARED_ROWS: Final = (0, 1, ROWS_PER_PREFIX - 2, ROWS_PER_PREFIX, ROWS_PER_PREFIX + 1, ROWS_PER_PREFIX + 2)
"""Of the rows that share, those that are compared with the model's own forward; the others are there to be shared with."""

MIDDLE_ROW: Final = slice(PROBE_TOKENS, 2 * PROBE_TOKENS)
"""The row in the middle of the packed ones, whose neighbours are changed."""

ATTENTION_ONLY_HINT: Final = "give a base whose layers are attention and feed-forward alone"
MAX_RELATIVE_DIFFERENCE: Final = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Largest relative difference (norm) of hidden states or gradients of one row computed among more or fewer rows."""

GRADIENT_FLOOR_SHARE: Final = 1e-3
"""A gradient this much smaller than the largest of a layer is compared as if it were this large."""


def check_packable(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Agreement:
    """Raises Misuse, naming the family, when a packed row is not what the model itself makes of it; else says how near it is.

    Refused: dropout that is left on; rows that see each other in a pack (convolutions, state spaces), found by changing a
    neighbour and comparing bit for bit; attention or a head that does more than ours does, found by comparing with the
    model's own forward. Mode and attention of the model are left as they were found. Its last layer is cut down from here on
    to the rows that a pass reads, where that gives the same (see `ending`).
    """
    kind = unwrap_peft(model).config.model_type
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in _base_modules(model)):
        hint = "set every dropout of its config.json to 0; resuming to the same bytes needs it"
        raise Misuse(f"the {kind} model has dropout", where="base", hint=hint)
    if getattr(unwrap_peft(model).config.get_text_config(), "output_router_logits", False):
        hint = "set output_router_logits to false in its config.json"
        raise Misuse(
            f"the {kind} model asks for an auxiliary loss of its routers, which is not computed",
            where="base",
            hint=hint,
        )
    probes = build_probe_tokens(unwrap_peft(model), tokenizer)
    with _EvaluationMode(model):
        _check_attention_is_called(model, kind, probes)
        rows = _unshared_rows(probes)
        hidden, moved = (
            _packed_hidden_states(model, [rows[at] for at in order])
            for order in (range(len(rows)), _swapped_order(rows))
        )
        apart = torch.equal(hidden[MIDDLE_ROW], moved[MIDDLE_ROW])
        if not (
            apart or (is_mixture_of_experts(unwrap_peft(model)) and _is_close(hidden[MIDDLE_ROW], moved[MIDDLE_ROW]))
        ):
            raise Misuse(
                f"rows of a {kind} model see each other when they are packed", where="base", hint=ATTENTION_ONLY_HINT
            )
        found = _compare_with_model(model, rows, hidden, share=False)
    if not found.agrees:
        what = f"a packed row of a {kind} model differs from the same row alone: {found.told()}"
        raise Misuse(what, where="base", hint=ATTENTION_ONLY_HINT)
    with _EvaluationMode(model):
        _try_last_layer_pruning(model, probes)
    return found


def compare_shared_prefixes(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Agreement:
    """How near rows that begin alike, computed in one shared pass, come to what the model itself makes of each alone."""
    rows = shared_prefix_rows(build_probe_tokens(unwrap_peft(model), tokenizer))
    with _EvaluationMode(model):
        return _compare_with_model(model, rows, _packed_hidden_states(model, rows, share=True), share=True)


def shared_prefix_rows(probes: ProbeTokens) -> list[TokenIds]:
    """Rows that share a little, and so many that share a lot that on a CPU it is kept in place (see rooted.py).

    Where the model has a window, two share more than it holds.
    """
    prefix = probes.row(0, SHARED_PREFIX_TOKENS)
    many = [prefix + probes.row(SHARED_PREFIX_TOKENS + 4 * at, 4) for at in range(ROWS_PER_PREFIX - 2)]
    deeper = [(*many[0][:-1], probes.row(at, 1)[0]) for at in (1, 2)]
    little = [
        prefix[:9] + probes.row(SHARED_PREFIX_TOKENS, SHORT_PROBE_TOKENS),
        prefix[:3] + probes.row(LONG_PROBE_TOKENS, SHORT_PROBE_TOKENS + 6),
    ]
    if probes.long is None:
        return [*many, *deeper, *little]
    ahead = probes.row(1, probes.long - 6)
    return [
        *many,
        *deeper,
        *little,
        *(ahead + probes.row(start, 6) for start in (LONG_PROBE_TOKENS, 2 * LONG_PROBE_TOKENS)),
    ]


def _unshared_rows(probes: ProbeTokens) -> list[TokenIds]:
    """Rows of several lengths, one of them beyond the model's windows. The second stands between two of equal length."""
    rows = [probes.row(start, PROBE_TOKENS) for start in (0, PROBE_TOKENS, 2 * PROBE_TOKENS)]
    rows += [probes.row(3 * PROBE_TOKENS, LONG_PROBE_TOKENS), probes.row(5, SHORT_PROBE_TOKENS)]
    return rows if probes.long is None else [*rows, probes.row(2, probes.long)]


def _swapped_order(rows: Sequence[TokenIds]) -> list[int]:
    """The order of the lone rows in which the second one has the other's neighbour on either side."""
    return [2, 1, 0, *range(3, len(rows))]


def _compare_with_model(model: nn.Module, rows: Sequence[TokenIds], hidden: torch.Tensor, *, share: bool) -> Agreement:
    """Logits from the hidden states of a pass of these rows against those of the model itself."""
    causal = unwrap_peft(model)
    chosen = [rows[at] for at in COMPARED_ROWS if at < len(rows)] if share else rows
    places = compared_positions(chosen, int(causal.get_input_embeddings().weight.shape[0]))
    paths = lay_out([_probe_row(row) for row in rows], share=share).paths
    mine = []
    for row, some in zip(chosen, places, strict=True):
        path = [at for start, end in paths[rows.index(row)] for at in range(start, end)]
        mine.append(head_logits(causal, hidden[[path[place] for place in some]]))
    return compare_logits(mine, reference_logits(causal, chosen, places))


def _try_last_layer_pruning(model: nn.Module, probes: ProbeTokens) -> None:
    """Cut the last layer down and compare what is read, and the gradients of that layer, with the whole layer's."""
    causal = unwrap_peft(model)
    if not prune_last_layer(causal):
        return
    rows = [
        _probe_row(probes.row(0, 6) + probes.row(start, 6), ((9, 11),)) for start in (PROBE_TOKENS, 2 * PROBE_TOKENS)
    ]
    batch = pack_rows(rows, _device(model))
    moved = [value for value in causal.base_model.layers[-1].parameters() if value.requires_grad]
    try:
        found = _states_and_gradients(model, batch, moved, read_only=True)
    except Misuse:
        restore_last_layer(causal)
        return
    expected = _states_and_gradients(model, batch, moved, read_only=False)
    # A bias on the keys changes nothing and its gradient is rounding alone, hence a floor under what counts as different.
    floor = GRADIENT_FLOOR_SHARE * max(float(one.norm()) for one in expected)
    if not all(_is_close(mine, theirs, floor) for mine, theirs in zip(found, expected, strict=True)):
        restore_last_layer(causal)


def _states_and_gradients(
    model: nn.Module, batch: PackedBatch, moved: list[nn.Parameter], *, read_only: bool
) -> list[torch.Tensor]:
    """Hidden states that the pass reads, and gradients of a weighted sum of them; zeros for a tensor without one."""
    with torch.set_grad_enabled(bool(moved)):
        states = hidden_states(model, batch, read_only=read_only).index_select(0, batch.index)
        slope = torch.linspace(-1.0, 1.0, states.shape[-1], device=states.device, dtype=states.dtype)
        found = torch.autograd.grad((states * slope).sum(), moved, allow_unused=True) if moved else ()
    gradients = [torch.zeros_like(value) if one is None else one for one, value in zip(found, moved, strict=True)]
    return [states.detach(), *gradients]


def _check_attention_is_called(model: nn.Module, kind: str, probes: ProbeTokens) -> None:
    asked: dict[int, int | None] = {}
    try:
        hidden_states(model, pack_rows([_probe_row(probes.row(0, SHORT_PROBE_TOKENS))], _device(model)), asked)
    except Misuse as error:
        raise Misuse(
            f"a {kind} model cannot be packed exactly: {error.what}", where="base", hint=ATTENTION_ONLY_HINT
        ) from error
    if wrong := window_mismatch(unwrap_peft(model), asked):
        raise Misuse(f"a {kind} model cannot be packed exactly: {wrong}", where="base", hint=ATTENTION_ONLY_HINT)


def window_mismatch(causal: Any, asked: dict[int, int | None]) -> str | None:
    """What is wrong with the windows that layers `asked` of their attention, or None.

    Not every row reaches every window, and some families put theirs into a mask of their own.
    """
    text, context = causal.config.get_text_config(), context_length(causal)
    kinds = getattr(text, "layer_types", None) or [None] * len(asked)
    for layer, window in asked.items():
        declared = _declared_window(text, kinds[layer])
        if _effective_window(declared, context) != _effective_window(window, context):
            what = f"layer {layer} of a {causal.config.model_type} model declares a window of {declared} tokens"
            return f"{what}, and its attention is told {window}"
    return None


def _declared_window(config: Any, kind: str | None) -> int | None:
    """The window of a layer of this kind by the config; None as kind: the family has one kind."""
    if kind == "chunked_attention":
        return int(config.attention_chunk_size)
    window = getattr(config, "sliding_window", None)
    return int(window) if window is not None and kind in (None, "sliding_attention") else None


def _effective_window(window: int | None, context: int) -> int | None:
    return None if window is None or window >= context else window


class _EvaluationMode:
    """Evaluation mode without gradients; mode and attention are put back."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __enter__(self) -> None:
        self.training, self.attention = self.model.training, unwrap_peft(self.model).config._attn_implementation
        self.model.eval()
        self.gradients = torch.is_grad_enabled()
        torch.set_grad_enabled(False)

    def __exit__(self, *_: object) -> None:
        torch.set_grad_enabled(self.gradients)
        unwrap_peft(self.model).set_attn_implementation(self.attention)
        self.model.train(self.training)


def _base_modules(model: nn.Module) -> list[nn.Module]:
    """Every module but the adapters' own."""
    return [module for name, module in model.named_modules() if "lora_dropout" not in name]


def _probe_row(ids: tuple[int, ...], spans: tuple[tuple[int, int], ...] = ()) -> EncodedSequence:
    return EncodedSequence("tried", ids, spans)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _packed_hidden_states(model: nn.Module, rows: Sequence[TokenIds], *, share: bool = False) -> torch.Tensor:
    return hidden_states(model, pack_rows([_probe_row(row) for row in rows], _device(model), share=share))


def _is_close(mine: torch.Tensor, theirs: torch.Tensor, floor: float = 0.0) -> bool:
    return float((mine - theirs).norm()) <= MAX_RELATIVE_DIFFERENCE[mine.dtype] * max(float(theirs.norm()), floor)
