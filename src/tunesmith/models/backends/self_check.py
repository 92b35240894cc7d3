"""Self-check of a loaded decoder: whether evaluation and serving compute exactly what its own forward computes.

The check runs on ordinary text when a model is loaded. It does not rely on the name of the model's family.
"""

from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import PreTrainedTokenizerBase

from tunesmith.chat.encode import EncodedSequence
from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends.engine import Engine
from tunesmith.models.backends.fused import FusedTrunk
from tunesmith.models.backends.kv_cache import ForwardLayout, KVCache
from tunesmith.models.logit_agreement import Agreement, TokenIds, compare_logits, compared_positions, reference_logits
from tunesmith.models.packed import hidden_states, pack_rows, unwrap_peft, window_mismatch
from tunesmith.models.probe_rows import ProbeTokens, build_probe_tokens

SHARED_PREFIX_TOKENS: Final = 12
PROMPT_REST_TOKENS: Final = (6, 2)
"""Tokens of the prefix that all probe prompts share, and of each prompt behind it."""

SELF_CHECK_HINT: Final = (
    "this is a bug of Tunesmith or a layer that it does not support (supported: attention and feed-forward layers); "
    "choose another base: `tunesmith base list` shows the catalogue"
)


@dataclass(frozen=True)
class SelfCheckCase:
    """Prompts with a shared prefix, one more token after each, and then `branches` side by side."""

    shared: TokenIds
    rests: tuple[TokenIds, ...]
    after: int
    branches: tuple[int, ...]

    @property
    def rows(self) -> list[TokenIds]:
        """The complete rows: every prompt with every branch."""
        return [(*self.shared, *rest, self.after, branch) for rest in self.rests for branch in self.branches]

    @property
    def positions(self) -> list[tuple[int, ...]]:
        """Three positions of each row: the last of its prompt, the token after it, and the branch."""
        ends = [len(self.shared) + len(rest) - 1 for rest in self.rests for _ in self.branches]
        return [(end, end + 1, end + 2) for end in ends]


def check_exact(
    model: Any, tokenizer: PreTrainedTokenizerBase, *, where: str, fused: FusedTrunk | None = None
) -> Agreement:
    """Compare our logits with the model's own eager forward; returns the comparison closest to its limit.

    Covers what evaluation and serving do: prompts with a shared prefix, copied into each row and stored once; one more token;
    branches side by side; rows packed into one batch; and a prompt longer than the model's windows. The window that each layer
    requests is compared with the config. With `fused`, the fused linear layers are checked. The model's attention
    implementation is restored afterwards.

    Raises Misuse, naming the family, if the logits differ by more than the model's own rounding, and DataError for weights
    that give NaN.
    """
    causal = unwrap_peft(model)
    family = causal.config.model_type
    attention = causal.config._attn_implementation
    windows: dict[int, int | None] = {}
    try:
        cases = self_check_cases(build_probe_tokens(causal, tokenizer))
        with torch.no_grad():
            agreements = [agreement for case in cases for agreement in _check_case(Engine(model, fused), case, windows)]
    except Misuse as error:
        if isinstance(error, DataError):
            raise DataError(error.what, where=where, hint=error.hint) from error
        what = f"a {family} model cannot be run exactly: {error.what}"
        raise Misuse(what, where=where, hint=SELF_CHECK_HINT) from error
    finally:
        causal.set_attn_implementation(attention)
    if mismatch := window_mismatch(causal, windows):
        raise Misuse(f"a {family} model cannot be run exactly: {mismatch}", where=where, hint=SELF_CHECK_HINT)
    for agreement in agreements:
        if not agreement.agrees:
            raise Misuse(_describe_difference(family, agreement), where=where, hint=SELF_CHECK_HINT)
    return max(agreements, key=lambda agreement: agreement.worst / agreement.bound)


def _describe_difference(family: str, agreement: Agreement) -> str:
    return (
        f"self-check failed: generation logits of the {family} model differ from its eager forward by "
        f"{agreement.worst:.1e} (limit {agreement.bound:.1e}, token {agreement.position} of probe row {agreement.row}); "
        f"median {agreement.median:.1e} of {agreement.positions} positions (limit {agreement.median_bound:.1e})"
    )


def self_check_cases(probes: ProbeTokens) -> list[SelfCheckCase]:
    """A short case, and one longer than the model's windows if it has any."""
    after, *branches = probes.row(80, 3)
    rests = tuple(probes.row(SHARED_PREFIX_TOKENS + 11 * at, length) for at, length in enumerate(PROMPT_REST_TOKENS))
    cases = [SelfCheckCase(probes.row(0, SHARED_PREFIX_TOKENS), rests, after, tuple(dict.fromkeys(branches)))]
    if probes.long is not None:
        shared = probes.row(7, probes.long - PROMPT_REST_TOKENS[1] - 2)
        cases.append(SelfCheckCase(shared, rests[1:], after, (branches[0],)))
    return cases


def _check_case(engine: Engine, case: SelfCheckCase, windows: dict[int, int | None]) -> list[Agreement]:
    """Agreement with the model's own logits three ways: prefix copied, prefix stored once, rows packed."""
    causal = unwrap_peft(engine.model)
    spread = compared_positions(case.rows, int(causal.get_input_embeddings().weight.shape[0]))
    positions = [tuple(sorted({*some, *own})) for some, own in zip(spread, case.positions, strict=True)]
    prefix = KVCache(len(case.shared))
    engine.append([case.shared], prefix, start=0)
    windows.update(prefix.windows)
    cached = [_cached_logits(engine, prefix, case, single_copy=single_copy) for single_copy in (False, True)]
    packed = _packed_logits(engine, case, positions)
    reference = reference_logits(causal, case.rows, positions)
    cached_reference = reference.at(case.positions)
    return [*(compare_logits(logits, cached_reference) for logits in cached), compare_logits(packed, reference)]


def _cached_logits(engine: Engine, prefix: KVCache, case: SelfCheckCase, *, single_copy: bool) -> list[torch.Tensor]:
    """Logits [3, V] of every row at the three `positions` of the case."""
    device = unwrap_peft(engine.model).device
    lengths = torch.tensor([len(case.shared) + len(rest) for rest in case.rests], device=device)
    slots = int(lengths.max()) + 1 + len(case.branches)
    cache = prefix.expand(len(case.rests), slots, single_copy=single_copy)
    prompt_states = engine.append(case.rests, cache, start=len(case.shared))
    after_states = engine.step(torch.full_like(lengths, case.after), lengths, cache)
    branch_states = engine.forward(*_branch_layout(case, lengths, cache), cache)
    states = [
        torch.stack([prompt_states[at], after_states[at], branch_states[at * len(case.branches) + branch]])
        for at in range(len(case.rests))
        for branch in range(len(case.branches))
    ]
    return [engine.logits(three) for three in states]


def _branch_layout(case: SelfCheckCase, lengths: torch.Tensor, cache: KVCache) -> tuple[torch.Tensor, ForwardLayout]:
    """Ids [prompts, branches] and their layout: the branches of a prompt share a position, have slots of their own and do not
    see each other."""
    columns = torch.arange(len(case.branches), device=lengths.device)
    slots = lengths[:, None] + 1 + columns
    every = torch.arange(cache.capacity, device=lengths.device)
    visible = (every <= lengths[:, None, None]) | (every == slots[:, :, None])  # (prompts, branches, slots)
    present = torch.ones_like(slots, dtype=torch.bool)
    layout = ForwardLayout(slots, (lengths + 1)[:, None].expand_as(slots), visible, present)
    return torch.tensor([case.branches] * len(case.rests), device=lengths.device), layout


def _packed_logits(engine: Engine, case: SelfCheckCase, positions: list[tuple[int, ...]]) -> list[torch.Tensor]:
    """Logits [p, V] of every row at its positions, with all rows packed into one batch as in `LocalModel.logprobs`."""
    rows = [EncodedSequence("tried", row, ()) for row in case.rows]
    hidden = hidden_states(engine.model, pack_rows(rows, unwrap_peft(engine.model).device))
    logits, start = [], 0
    for row, wanted in zip(case.rows, positions, strict=True):
        logits.append(engine.logits(hidden[[start + position for position in wanted]]))
        start += len(row)
    return logits
