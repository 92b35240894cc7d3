"""An encoder-decoder on this machine: greedy targets for batches of sources, or one target streamed token by token."""

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
from tunesmith.models.packed import unwrap_peft
from tunesmith.models.target_tokens import TargetTokens, read_target_tokens, target_ids
from tunesmith.models.tasks import padded
from tunesmith.models.tasks.seq2seq import Seq2seqRow, check_seq2seq_padding

TokenIds = Sequence[int]

MIN_ACTIVE_SHARE = 0.75
"""Finished rows are dropped once fewer than this share of the batch is active. Dropping copies the cache."""

PADDING_PROBE_PAIRS = (
    ("One line of text.", "A longer target stands behind the shorter source, so that both sides are padded."),
    ("A longer line of text stands beside it, so that the shorter one is padded to its length.", "One line."),
)


def ignore_progress(rows: int) -> None:
    """Discard the number of finished rows."""


@dataclass
class _DecoderState:
    """A batch in decoding: encoder states [B, S, D] with their mask [B, S] int64, and the decoder's cache."""

    model: Any
    states: torch.Tensor
    mask: torch.Tensor
    cache: EncoderDecoderCache

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Feed one token [B] per row to the decoder; logits [B, V] of the next token, in fp32 or better."""
        output = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=self.states),
            attention_mask=self.mask,
            decoder_input_ids=tokens[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.cache = output.past_key_values
        logits: torch.Tensor = output.logits[:, -1]
        return logits if logits.dtype == torch.float64 else logits.float()

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Drop every row except these [n]."""
        self.states, self.mask = self.states[rows], self.mask[rows]
        self.cache.batch_select_indices(rows)


@final
@dataclass(frozen=True)
class Seq2SeqModel:
    """`model` is a transformers model or PEFT's wrapper around one; `digest` is the digest of its files.

    The same inputs give the same outputs. Another batch size can change the last bits of a logit. Not thread-safe.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    digest: str

    @cached_property
    def target_tokens(self) -> TargetTokens:
        """The tokens that begin and end a target, and those that it must not contain."""
        return read_target_tokens(unwrap_peft(self.model), self.tokenizer, where=self.digest)

    @cached_property
    def context(self) -> int:
        """The most tokens of a source, and of a target."""
        return max_positions(unwrap_peft(self.model), self.tokenizer)

    @property
    def stops(self) -> frozenset[int]:
        """Token ids that end a target."""
        return frozenset((self.target_tokens.end,))

    @torch.no_grad()
    def generate(
        self,
        sources: Sequence[TokenIds],
        *,
        max_new_tokens: int,
        batch: int = 64,
        report: Callable[[int], None] = ignore_progress,
    ) -> list[list[int]]:
        """Greedy targets without their end token, equal to transformers' `generate` under `target_tokens.config`.

        A target stops at its end token, at `max_new_tokens`, or at the end of the decoder's positions. `report` receives the
        number of rows that finished since the last call.
        """
        targets: list[list[int]] = [[] for _ in sources]
        limit = self.max_target_tokens(max_new_tokens)
        order = sorted(range(len(sources)), key=lambda index: (-len(sources[index]), index))
        for start in range(0, len(order), batch):
            group = order[start : start + batch]
            self._decode_batch([sources[index] for index in group], [targets[index] for index in group], limit, report)
        return targets

    def max_target_tokens(self, max_new_tokens: int) -> int:
        """Of `max_new_tokens`, as many as the decoder has positions for."""
        return min(max_new_tokens, self.context)

    def _decode_batch(
        self, sources: Sequence[TokenIds], targets: Sequence[list[int]], limit: int, report: Callable[[int], None]
    ) -> None:
        """Append the tokens of a batch to its targets."""
        state = self._encode(sources)
        active = list(range(len(sources)))
        rows = list(active)  # the rows that are still in the cache, active or not
        tokens = torch.full((len(sources),), self.target_tokens.start, device=state.mask.device)
        for count in range(limit):
            logits = self._mask_forbidden(state.step(tokens), count)
            tokens = logits.argmax(dim=-1)
            before = len(active)
            active = self._append_tokens(tokens.tolist(), rows, active, targets)
            report(before - len(active))
            if not active:
                return
            if len(active) < MIN_ACTIVE_SHARE * len(rows):
                kept = torch.tensor([at for at, row in enumerate(rows) if row in set(active)], device=tokens.device)
                state.keep_rows(kept)
                tokens, rows = tokens[kept], list(active)
        report(len(active))

    def _append_tokens(
        self, tokens: TokenIds, rows: TokenIds, active: TokenIds, targets: Sequence[list[int]]
    ) -> list[int]:
        """Append the new token of every active row to its target; returns the rows that remain active."""
        remaining = set(active)
        for row, token in zip(rows, tokens, strict=True):
            if row in remaining and token in self.stops:
                remaining.remove(row)
            elif row in remaining:
                targets[row].append(token)
        return [row for row in active if row in remaining]

    def _encode(self, sources: Sequence[TokenIds]) -> _DecoderState:
        causal = unwrap_peft(self.model)
        ids, mask = padded.pad(sources, next(causal.parameters()).device)
        filled = ids.masked_fill(mask == 0, causal.config.pad_token_id)
        states = causal.get_encoder()(input_ids=filled, attention_mask=mask).last_hidden_state
        return _DecoderState(causal, states, mask, EncoderDecoderCache(DynamicCache(), DynamicCache()))

    def _mask_forbidden(self, logits: torch.Tensor, count: int) -> torch.Tensor:
        """Set the logits [B, V] of tokens that must not follow the first `count` ones to minus infinity."""
        if self.target_tokens.suppressed:
            logits[:, list(self.target_tokens.suppressed)] = -torch.inf
        if count or self.target_tokens.first is None:
            return logits
        forced = torch.full_like(logits, -torch.inf)
        forced[:, self.target_tokens.first] = 0.0
        return forced

    @torch.no_grad()
    def stream(
        self, source: TokenIds, *, max_new_tokens: int, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0
    ) -> Iterator[int]:
        """Yield the tokens of one target as they are generated, its end token included. Temperature 0 is greedy."""
        sampling, generator = Sampling(temperature, top_p, seed), torch.Generator().manual_seed(seed)
        state = self._encode([source])
        token = self.target_tokens.start
        for count in range(self.max_target_tokens(max_new_tokens)):
            logits = self._mask_forbidden(state.step(torch.tensor([token], device=state.mask.device)), count)
            token = sample_token(logits[0].cpu(), sampling, generator)
            yield token
            if token in self.stops:
                return

    def text(self, ids: TokenIds) -> str:
        """The text of a target, without special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def open_seq2seq(folder: Path, *, digest: str, base: Path | None = None, dtype: Precision = "fp32") -> Seq2SeqModel:
    """Load a model or adapter folder; see `heads.load_with_head` for its errors.

    Raises Misuse if the logits of a row change when it is padded beside a longer row.
    """
    model, tokenizer = load_with_head(folder, TaskHead("seq2seq"), base=base, dtype=dtype)
    pairs = [
        Seq2seqRow(str(at), tuple(tokenizer.encode(source)), tuple(target_ids(tokenizer, target)))
        for at, (source, target) in enumerate(PADDING_PROBE_PAIRS)
    ]
    check_seq2seq_padding(model, pairs, where=str(folder))
    return Seq2SeqModel(model, tokenizer, digest)
