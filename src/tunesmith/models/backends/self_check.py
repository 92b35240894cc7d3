"""Whether a model can be evaluated and served exactly: tried on ordinary text when it is loaded, not guessed from its name."""

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
from tunesmith.models.packed.exactness import window_mismatch
from tunesmith.models.packed.forward import hidden_states, unwrap_peft
from tunesmith.models.packed.pack import pack_rows
from tunesmith.models.probe_rows import ProbeTokens, build_probe_tokens

SHARED_PREFIX_TOKENS: Final = 12
PROMPT_REST_TOKENS: Final = (6, 2)
"""Tokens that all prompts begin with, and those of each prompt behind them."""

SELF_CHECK_HINT: Final = "give a base whose layers are attention and feed-forward alone"


@dataclass(frozen=True)
class SelfCheckCase:
    """Prompts that begin alike, one more token behind each, and then `branches` side by side."""

    shared: TokenIds
    rests: tuple[TokenIds, ...]
    after: int
    branches: tuple[int, ...]

    @property
    def rows(self) -> list[TokenIds]:
        """The whole rows that are walked through: for each prompt, each of its branches."""
        return [(*self.shared, *rest, self.after, branch) for rest in self.rests for branch in self.branches]

    @property
    def places(self) -> list[tuple[int, ...]]:
        """For each row the last place of its prompt, the one after it, and that of its branch."""
        ends = [len(self.shared) + len(rest) - 1 for rest in self.rests for _ in self.branches]
        return [(end, end + 1, end + 2) for end in ends]


def check_exact(
    model: Any, tokenizer: PreTrainedTokenizerBase, *, where: str, fused: FusedTrunk | None = None
) -> Agreement:
    """Raises Misuse, naming the family, when our logits are not those of the model's own forward, within its own rounding.

    Tried is what evaluation and serving do: prompts on a prefix that they share, copied into each row and then held once for
    all; one more token; branches side by side; whole rows packed; and a prompt beyond the model's windows. What the layers ask
    for as their window is compared with what the config declares. With `fused` it is the joined products that are tried. The
    attention of the model is left as it was found. Raises DataError for weights that give NaN.
    """
    causal = unwrap_peft(model)
    kind = causal.config.model_type
    before = causal.config._attn_implementation
    windows: dict[int, int | None] = {}
    try:
        walks = self_check_cases(build_probe_tokens(causal, tokenizer))
        with torch.no_grad():
            found = [_check_case(Engine(model, fused), walk, windows) for walk in walks]
    except Misuse as error:
        if isinstance(error, DataError):
            raise DataError(error.what, where=where, hint=error.hint) from error
        raise Misuse(
            f"a {kind} model cannot be run exactly: {error.what}", where=where, hint=SELF_CHECK_HINT
        ) from error
    finally:
        causal.set_attn_implementation(before)
    if wrong := window_mismatch(causal, windows):
        raise Misuse(f"a {kind} model cannot be run exactly: {wrong}", where=where, hint=SELF_CHECK_HINT)
    for one in (one for some in found for one in some):
        if not one.agrees:
            what = f"a {kind} model's answers differ from its own forward's: {one.told()}"
            raise Misuse(what, where=where, hint=SELF_CHECK_HINT)
    return max((one for some in found for one in some), key=lambda one: one.worst / one.bound)


def self_check_cases(probes: ProbeTokens) -> list[SelfCheckCase]:
    """A short walk, and one beyond the model's windows where it has any."""
    after, *branches = probes.row(80, 3)
    rests = tuple(probes.row(SHARED_PREFIX_TOKENS + 11 * at, length) for at, length in enumerate(PROMPT_REST_TOKENS))
    walks = [SelfCheckCase(probes.row(0, SHARED_PREFIX_TOKENS), rests, after, tuple(dict.fromkeys(branches)))]
    if probes.long is not None:
        walks.append(
            SelfCheckCase(probes.row(7, probes.long - PROMPT_REST_TOKENS[1] - 2), rests[1:], after, (branches[0],))
        )
    return walks


def _check_case(engine: Engine, walk: SelfCheckCase, windows: dict[int, int | None]) -> list[Agreement]:
    """How near one walk comes to the model's own logits: with its prefix copied, with its prefix as a stem, and packed."""
    causal = unwrap_peft(engine.model)
    spread = compared_positions(walk.rows, int(causal.get_input_embeddings().weight.shape[0]))
    places = [tuple(sorted({*some, *walked})) for some, walked in zip(spread, walk.places, strict=True)]
    prefix = KVCache(len(walk.shared))
    engine.append([walk.shared], prefix, start=0)
    windows.update(prefix.windows)
    walked = [_cached_logits(engine, prefix, walk, stem=stem) for stem in (False, True)]
    packed = _packed_logits(engine, walk, places)
    own = reference_logits(causal, walk.rows, places)
    return [*(compare_logits(mine, own.at(walk.places)) for mine in walked), compare_logits(packed, own)]


def _cached_logits(engine: Engine, prefix: KVCache, walk: SelfCheckCase, *, stem: bool) -> list[torch.Tensor]:
    """For every row of a walk [3, V]: at the end of its prompt, after one more token, and after its branch."""
    device = unwrap_peft(engine.model).device
    lengths = torch.tensor([len(walk.shared) + len(rest) for rest in walk.rests], device=device)
    longest = int(lengths.max())
    seen = prefix.expanded(len(walk.rests), longest + 1 + len(walk.branches), stem=stem)
    read = engine.append(walk.rests, seen, start=len(walk.shared))
    stepped = engine.step(torch.full_like(lengths, walk.after), lengths, seen)
    branched = engine.forward(*_branch_layout(walk, lengths, seen), seen)
    states = [
        torch.stack([read[prompt], stepped[prompt], branched[prompt * len(walk.branches) + branch]])
        for prompt in range(len(walk.rests))
        for branch in range(len(walk.branches))
    ]
    return [engine.logits(one) for one in states]


def _branch_layout(walk: SelfCheckCase, lengths: torch.Tensor, seen: KVCache) -> tuple[torch.Tensor, ForwardLayout]:
    """The branches of every prompt in slots of their own at one position, none of which sees another."""
    columns = torch.arange(len(walk.branches), device=lengths.device)
    slots = lengths[:, None] + 1 + columns
    known = torch.arange(seen.capacity, device=lengths.device)
    visible = (known <= lengths[:, None, None]) | (known == slots[:, :, None])
    present = torch.ones_like(slots, dtype=torch.bool)
    aim = ForwardLayout(slots, (lengths + 1)[:, None].expand_as(slots), visible, present)
    return torch.tensor([walk.branches] * len(walk.rests), device=lengths.device), aim


def _packed_logits(engine: Engine, walk: SelfCheckCase, wanted: list[tuple[int, ...]]) -> list[torch.Tensor]:
    """[p, V] of every row at some places, all rows in one pass, as `logprobs` computes them."""
    rows = [EncodedSequence("tried", row, ()) for row in walk.rows]
    hidden = hidden_states(engine.model, pack_rows(rows, unwrap_peft(engine.model).device))
    found, start = [], 0
    for row, places in zip(walk.rows, wanted, strict=True):
        found.append(engine.logits(hidden[[start + place for place in places]]))
        start += len(row)
    return found
