"""Check before a run that a model computes packed batches exactly: on probe rows, not by a list of family names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from tunesmith.models.packed.prefix_trie import lay_out, path_indices
from tunesmith.models.probe_rows import ProbeTokens, build_probe_tokens

SHORT_PROBE_TOKENS: Final = 5
PROBE_TOKENS: Final = 16
LONG_PROBE_TOKENS: Final = 32
"""Lengths of the probe rows."""

SHARED_PREFIX_TOKENS: Final = 24
ROWS_PER_PREFIX: Final = 12
"""A prefix this long before so many rows is read in place on a CPU (see prefix_attention.py)."""

COMPARED_ROWS: Final = (0, 1, ROWS_PER_PREFIX - 2, ROWS_PER_PREFIX, ROWS_PER_PREFIX + 1, ROWS_PER_PREFIX + 2)
"""Which of the rows with shared prefixes are compared with the model's own forward. The others are there to share."""

MIDDLE_ROW: Final = slice(PROBE_TOKENS, 2 * PROBE_TOKENS)
"""Hidden states of the second unshared row, whose neighbours are swapped."""

ATTENTION_ONLY_HINT: Final = "set `base` to a model whose layers are attention and feed-forward only"
MAX_RELATIVE_DIFFERENCE: Final = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Largest relative difference (norm) of a row's hidden states or gradients between batches of different rows."""

GRADIENT_FLOOR_SHARE: Final = 1e-3
"""Gradients smaller than this share of the layer's largest are compared as if they were that large."""


def check_packable(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Agreement:
    """Check that each packed row has the logits that the model's own forward gives it, and say how close they are.

    Also prunes the model's last layer from now on, if that changes nothing (see last_layer_pruning.py). Mode and attention
    implementation of the model are restored.

    Raises Misuse, naming the model family, for
    - dropout above 0;
    - rows that influence each other (convolutions, state spaces): neighbours are swapped and hidden states compared bit by bit;
    - attention or a head that does more than ours: logits are compared with those of the model's own forward.
    """
    causal = unwrap_peft(model)
    family = causal.config.model_type
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in _base_modules(model)):
        hint = "set every dropout rate in its config.json to 0; a resumed run could not repeat the same bytes otherwise"
        raise Misuse(f"the {family} model has dropout", where="base", hint=hint)
    if getattr(causal.config.get_text_config(), "output_router_logits", False):
        hint = "set output_router_logits to false in its config.json"
        what = f"the {family} model asks for an auxiliary loss of its routers, which is not supported"
        raise Misuse(what, where="base", hint=hint)
    probes = build_probe_tokens(causal, tokenizer)
    with _evaluation_mode(model):
        _check_attention_is_called(model, family, probes)
        rows = _unshared_rows(probes)
        hidden = _packed_hidden_states(model, rows)
        swapped = _packed_hidden_states(model, [rows[2], rows[1], rows[0], *rows[3:]])
        row, row_swapped = hidden[MIDDLE_ROW], swapped[MIDDLE_ROW]
        is_independent = torch.equal(row, row_swapped)
        if not (is_independent or (is_mixture_of_experts(causal) and _is_close(row, row_swapped))):
            what = f"rows of a {family} model influence each other when they are packed"
            raise Misuse(what, where="base", hint=ATTENTION_ONLY_HINT)
        agreement = _compare_with_model(model, rows, hidden, share=False)
    if not agreement.agrees:
        what = f"a packed row of a {family} model differs from the same row alone: {agreement.describe()}"
        raise Misuse(what, where="base", hint=ATTENTION_ONLY_HINT)
    with _evaluation_mode(model):
        _try_last_layer_pruning(model, probes)
    return agreement


def compare_shared_prefixes(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Agreement:
    """Compare the logits of rows that share prefixes in one batch with those of the model's own forward of each row."""
    rows = shared_prefix_rows(build_probe_tokens(unwrap_peft(model), tokenizer))
    with _evaluation_mode(model):
        return _compare_with_model(model, rows, _packed_hidden_states(model, rows, share=True), share=True)


def shared_prefix_rows(probes: ProbeTokens) -> list[TokenIds]:
    """Probe rows: many behind one long prefix, two that differ in their last token, two behind a short prefix.

    If the model has a sliding window, two more share a prefix longer than it.
    """
    prefix = probes.row(0, SHARED_PREFIX_TOKENS)
    many = [prefix + probes.row(SHARED_PREFIX_TOKENS + 4 * number, 4) for number in range(ROWS_PER_PREFIX - 2)]
    last_differs = [(*many[0][:-1], probes.row(start, 1)[0]) for start in (1, 2)]
    short_prefix = [
        prefix[:9] + probes.row(SHARED_PREFIX_TOKENS, SHORT_PROBE_TOKENS),
        prefix[:3] + probes.row(LONG_PROBE_TOKENS, SHORT_PROBE_TOKENS + 6),
    ]
    rows = [*many, *last_differs, *short_prefix]
    if probes.long is None:
        return rows
    beyond_window = probes.row(1, probes.long - 6)
    return [*rows, *(beyond_window + probes.row(start, 6) for start in (LONG_PROBE_TOKENS, 2 * LONG_PROBE_TOKENS))]


def _unshared_rows(probes: ProbeTokens) -> list[TokenIds]:
    """Probe rows of several lengths, one of them beyond the model's windows. The first three have equal length."""
    rows = [probes.row(start, PROBE_TOKENS) for start in (0, PROBE_TOKENS, 2 * PROBE_TOKENS)]
    rows += [probes.row(3 * PROBE_TOKENS, LONG_PROBE_TOKENS), probes.row(5, SHORT_PROBE_TOKENS)]
    return rows if probes.long is None else [*rows, probes.row(2, probes.long)]


def _compare_with_model(model: nn.Module, rows: Sequence[TokenIds], hidden: torch.Tensor, *, share: bool) -> Agreement:
    """Compare logits of `hidden` [T, hidden], the packed hidden states of the rows, with the model's own."""
    causal = unwrap_peft(model)
    compared = [rows[number] for number in COMPARED_ROWS if number < len(rows)] if share else rows
    positions = compared_positions(compared, int(causal.get_input_embeddings().weight.shape[0]))
    paths = lay_out([_probe_row(row) for row in rows], share=share).paths
    logits = []
    for row, row_positions in zip(compared, positions, strict=True):
        indices = path_indices(paths[rows.index(row)])
        logits.append(head_logits(causal, hidden[[indices[position] for position in row_positions]]))
    return compare_logits(logits, reference_logits(causal, compared, positions))


def _try_last_layer_pruning(model: nn.Module, probes: ProbeTokens) -> None:
    """Prune the last layer; restore it if the hidden states that are read, or the layer's gradients, are not the same."""
    causal = unwrap_peft(model)
    if not prune_last_layer(causal):
        return
    rows = [
        _probe_row(probes.row(0, 6) + probes.row(start, 6), ((9, 11),)) for start in (PROBE_TOKENS, 2 * PROBE_TOKENS)
    ]
    batch = pack_rows(rows, _device(model))
    parameters = [value for value in causal.base_model.layers[-1].parameters() if value.requires_grad]
    try:
        pruned = _states_and_gradients(model, batch, parameters, read_only=True)
    except Misuse:
        restore_last_layer(causal)
        return
    whole = _states_and_gradients(model, batch, parameters, read_only=False)
    # A bias on the keys does not change attention; its gradient is rounding alone, hence the floor.
    floor = GRADIENT_FLOOR_SHARE * max(float(tensor.norm()) for tensor in whole)
    if not all(_is_close(value, expected, floor) for value, expected in zip(pruned, whole, strict=True)):
        restore_last_layer(causal)


def _states_and_gradients(
    model: nn.Module, batch: PackedBatch, parameters: list[nn.Parameter], *, read_only: bool
) -> list[torch.Tensor]:
    """The hidden states that the batch reads, and each parameter's gradient of a weighted sum of them (zeros if it has none)."""
    with torch.set_grad_enabled(bool(parameters)):
        states = hidden_states(model, batch, read_only=read_only).index_select(0, batch.hidden_index)  # (S, hidden)
        weights = torch.linspace(-1.0, 1.0, states.shape[-1], device=states.device, dtype=states.dtype)
        loss = (states * weights).sum()
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True) if parameters else ()
    pairs = zip(gradients, parameters, strict=True)
    return [states.detach(), *(torch.zeros_like(value) if gradient is None else gradient for gradient, value in pairs)]


def _check_attention_is_called(model: nn.Module, family: str, probes: ProbeTokens) -> None:
    """Raises Misuse if the packed attention refuses the model's options, or gets other windows than the config declares."""
    windows: dict[int, int | None] = {}
    try:
        hidden_states(model, pack_rows([_probe_row(probes.row(0, SHORT_PROBE_TOKENS))], _device(model)), windows)
    except Misuse as error:
        what = f"a {family} model cannot be packed exactly: {error.what}"
        raise Misuse(what, where="base", hint=ATTENTION_ONLY_HINT) from error
    if mismatch := window_mismatch(unwrap_peft(model), windows):
        raise Misuse(f"a {family} model cannot be packed exactly: {mismatch}", where="base", hint=ATTENTION_ONLY_HINT)


def window_mismatch(causal: Any, windows: dict[int, int | None]) -> str | None:
    """Compare the `windows` that layers pass to attention, by layer number, with the config; None if they agree.

    Comparing logits is not enough: probe rows may be shorter than a window, and some families put the window into a mask.
    """
    config, context = causal.config.get_text_config(), context_length(causal)
    layer_types = getattr(config, "layer_types", None) or [None] * len(windows)
    for layer, window in windows.items():
        declared = _declared_window(config, layer_types[layer])
        if _effective_window(declared, context) != _effective_window(window, context):
            what = f"layer {layer} of a {causal.config.model_type} model declares a window of {declared} tokens"
            return f"{what}, but passes {window} to its attention"
    return None


def _declared_window(config: Any, layer_type: str | None) -> int | None:
    """The window that the config declares for layers of a type; `layer_type` None: the family has one type."""
    if layer_type == "chunked_attention":
        return int(config.attention_chunk_size)
    window = getattr(config, "sliding_window", None)
    return int(window) if window is not None and layer_type in (None, "sliding_attention") else None


def _effective_window(window: int | None, context: int) -> int | None:
    """None for a window that no row can exceed."""
    return None if window is None or window >= context else window


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; mode, gradients and attention implementation are restored."""
    causal = unwrap_peft(model)
    training, attention, gradients = model.training, causal.config._attn_implementation, torch.is_grad_enabled()
    model.eval()
    torch.set_grad_enabled(False)
    try:
        yield
    finally:
        torch.set_grad_enabled(gradients)
        causal.set_attn_implementation(attention)
        model.train(training)


def _base_modules(model: nn.Module) -> list[nn.Module]:
    """Every module but the dropout of LoRA adapters, which is the recipe's own."""
    return [module for name, module in model.named_modules() if "lora_dropout" not in name]


def _probe_row(ids: tuple[int, ...], spans: tuple[tuple[int, int], ...] = ()) -> EncodedSequence:
    return EncodedSequence("probe", ids, spans)


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _packed_hidden_states(model: nn.Module, rows: Sequence[TokenIds], *, share: bool = False) -> torch.Tensor:
    return hidden_states(model, pack_rows([_probe_row(row) for row in rows], _device(model), share=share))


def _is_close(value: torch.Tensor, expected: torch.Tensor, floor: float = 0.0) -> bool:
    bound = MAX_RELATIVE_DIFFERENCE[value.dtype] * max(float(expected.norm()), floor)
    return float((value - expected).norm()) <= bound
