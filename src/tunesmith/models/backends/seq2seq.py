"""An encoder-decoder on this machine: greedy targets for many sources at once, or one target token by token."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch
from transformers import PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from tunesmith.models.architecture import max_positions
from tunesmith.models.backends.sampling import Sampling, sample_token
from tunesmith.models.heads import TaskHead, load_with_head
from tunesmith.models.loading import Precision
from tunesmith.models.packed.forward import unwrap_peft
from tunesmith.models.target_tokens import TargetTokens, read_target_tokens, target_ids
from tunesmith.models.tasks import padded
from tunesmith.models.tasks.seq2seq import Seq2seqRow, check_seq2seq_padding

TokenIds = Sequence[int]

MIN_ACTIVE_SHARE = 0.75
"""Rows that have ended are dropped once fewer than this share is still being written: dropping copies the cache."""

PADDING_PROBE_PAIRS = (
    ("One line of text.", "A longer target stands behind the shorter source, so that both sides are padded."),
    ("A longer line of text stands beside it, so that the shorter one is padded to its length.", "One line."),
)


def ignore_progress(rows: int) -> None:
    """Nobody waits."""


@dataclass
class _DecoderState:
    """Rows that are being written: what the encoder made of their sources, and what the decoder has read of each.

    `states` [B, S, D], `mask` [B, S] int64.
    """

    model: Any
    states: torch.Tensor
    mask: torch.Tensor
    seen: EncoderDecoderCache

    def read(self, tokens: torch.Tensor) -> torch.Tensor:
        """[B, V] fp32 logits of what follows, once the decoder has read one more token [B] of each row."""
        made = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self.states),
            attention_mask=self.mask,
            decoder_input_ids=tokens[:, None],
            past_key_values=self.seen,
            use_cache=True,
        )
        self.seen = made.past_key_values
        logits: torch.Tensor = made.logits[:, -1]
        return logits if logits.dtype == torch.float64 else logits.float()

    def keep(self, places: torch.Tensor) -> None:
        """Let go of every row but those at `places` [b]."""
        self.states, self.mask = self.states[places], self.mask[places]
        self.seen.batch_select_indices(places)


@final
@dataclass(frozen=True)
class Seq2SeqModel:
    """`model` is transformers' model, or PEFT's wrapper around one; `digest` is that of its files.

    The same inputs give the same outputs; another batch size can change the last bits of a logit. Not safe for calls from two
    threads at once.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    digest: str

    @cached_property
    def writing(self) -> TargetTokens:
        """How an answer begins and ends."""
        return read_target_tokens(unwrap_peft(self.model), self.tokenizer, where=self.digest)

    @cached_property
    def context(self) -> int:
        """Tokens that a source may have, and a target."""
        return max_positions(unwrap_peft(self.model), self.tokenizer)

    @property
    def stops(self) -> frozenset[int]:
        """Ids that end an answer."""
        return frozenset((self.writing.end,))

    @torch.no_grad()
    def generate(
        self,
        sources: Sequence[TokenIds],
        *,
        max_new_tokens: int,
        batch: int = 64,
        report: Callable[[int], None] = ignore_progress,
    ) -> list[list[int]]:
        """The likeliest token each time, up to the end (left out), `max_new_tokens` or the decoder's positions: the tokens of
        transformers' `generate` under `writing.config`. `report` is told how many more rows have ended."""
        found: list[list[int]] = [[] for _ in sources]
        order = sorted(range(len(sources)), key=lambda at: (-len(sources[at]), at))
        for start in range(0, len(order), batch):
            group = order[start : start + batch]
            self._write([sources[at] for at in group], [found[at] for at in group], self.room(max_new_tokens), report)
        return found

    def room(self, max_new_tokens: int) -> int:
        """Tokens that an answer can have of those asked for."""
        return min(max_new_tokens, self.context)

    def _write(
        self, sources: Sequence[TokenIds], found: Sequence[list[int]], most: int, report: Callable[[int], None]
    ) -> None:
        """Fill the lists of a batch."""
        rows = self._begin(sources)
        alive = list(range(len(sources)))
        places = list(alive)
        tokens = torch.full((len(sources),), self.writing.start, device=rows.mask.device)
        for count in range(most):
            logits = self._allowed(rows.read(tokens), count)
            tokens = logits.argmax(dim=-1)
            before = len(alive)
            alive = self._noted(tokens.tolist(), places, alive, found)
            report(before - len(alive))
            if not alive:
                return
            if len(alive) < MIN_ACTIVE_SHARE * len(places):
                kept = torch.tensor([at for at, row in enumerate(places) if row in set(alive)], device=tokens.device)
                rows.keep(kept)
                tokens, places = tokens[kept], list(alive)
        report(len(alive))

    def _noted(self, tokens: TokenIds, places: TokenIds, alive: TokenIds, found: Sequence[list[int]]) -> list[int]:
        """Keep the new token of every row that goes on; the rows that do."""
        still = set(alive)
        for row, token in zip(places, tokens, strict=True):
            if row in still and token in self.stops:
                still.remove(row)
            elif row in still:
                found[row].append(token)
        return [row for row in alive if row in still]

    def _begin(self, sources: Sequence[TokenIds]) -> _DecoderState:
        causal = unwrap_peft(self.model)
        ids, mask = padded.pad(sources, next(causal.parameters()).device)
        filled = ids.masked_fill(mask == 0, causal.config.pad_token_id)
        states = causal.get_encoder()(input_ids=filled, attention_mask=mask).last_hidden_state
        return _DecoderState(causal, states, mask, EncoderDecoderCache(DynamicCache(), DynamicCache()))

    def _allowed(self, logits: torch.Tensor, count: int) -> torch.Tensor:
        """Logits [B, V] of the token after `count` others, minus infinity for what may not be written there."""
        if self.writing.never:
            logits[:, list(self.writing.never)] = -torch.inf
        if count or self.writing.first is None:
            return logits
        forced = torch.full_like(logits, -torch.inf)
        forced[:, self.writing.first] = 0.0
        return forced

    @torch.no_grad()
    def stream(
        self, source: TokenIds, *, max_new_tokens: int, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0
    ) -> Iterator[int]:
        """Tokens of one answer as they are chosen; the end is yielded and is the last. Temperature 0 is greedy."""
        sampling, generator = Sampling(temperature, top_p, seed), torch.Generator().manual_seed(seed)
        rows = self._begin([source])
        token = self.writing.start
        for count in range(self.room(max_new_tokens)):
            logits = self._allowed(rows.read(torch.tensor([token], device=rows.mask.device)), count)
            token = sample_token(logits[0].cpu(), sampling, generator)
            yield token
            if token in self.stops:
                return

    def text(self, ids: TokenIds) -> str:
        """What the tokens of an answer say."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def open_seq2seq(folder: Path, *, digest: str, base: Path | None = None, dtype: Precision = "fp32") -> Seq2SeqModel:
    """Load a model or adapter folder; see `heads.load_headed` for what is refused.

    Raises Misuse for a model that gives a row other logits beside a longer row than alone.
    """
    model, tokenizer = load_with_head(folder, TaskHead("seq2seq"), base=base, dtype=dtype)
    pairs = [
        Seq2seqRow(str(at), tuple(tokenizer.encode(source)), tuple(target_ids(tokenizer, target)))
        for at, (source, target) in enumerate(PADDING_PROBE_PAIRS)
    ]
    check_seq2seq_padding(model, pairs, where=str(folder))
    return Seq2SeqModel(model, tokenizer, digest)
