"""A decoder on this machine: greedy completions, log-probabilities, choice among labels, token streaming."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from transformers import PreTrainedTokenizerBase

from tunesmith.chat.encode import EncodedSequence, stop_ids
from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends import greedy, label_scores, sampling
from tunesmith.models.backends.engine import Engine, TokenIds
from tunesmith.models.backends.fused import FusedTrunk, fused_trunk
from tunesmith.models.backends.label_trie import Choice
from tunesmith.models.backends.self_check import check_exact
from tunesmith.models.loading import Precision, load_folder, open_tokenizer, without_adapter
from tunesmith.models.packed import pack_rows, split_micro_batches, token_logprobs, unwrap_peft

MAX_TOKENS_PER_BATCH = 8192
"""Tokens of one forward of `logprobs`. Bounds memory; changes no value beyond rounding."""


def ignore_progress(rows: int) -> None:
    """Discard the number of finished rows."""


@final
@dataclass(frozen=True)
class LocalModel:
    """Implements `ports.Model`. `model` is a causal LM of transformers or PEFT's wrapper, `digest` the digest of its files.

    The same inputs give the same outputs. Another batch size can change the last bits of a log-probability. Not
    thread-safe.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    digest: str
    fused: FusedTrunk | None = None

    @cached_property
    def stops(self) -> frozenset[int]:
        """Token ids that end a completion."""
        return stop_ids(self.tokenizer)

    @property
    def context(self) -> int:
        """Positions for prompt and completion together."""
        return self._engine.context

    @property
    def _engine(self) -> Engine:
        return Engine(self.model, self.fused)

    def generate(
        self,
        prompts: Sequence[TokenIds],
        *,
        max_new_tokens: int,
        batch: int = 64,
        report: Callable[[int], None] = ignore_progress,
    ) -> list[list[int]]:
        """Greedy completions without prompt and end token, equal to those of transformers' `generate(do_sample=False)`.

        A completion stops at the end of the context. `report` receives the number of prompts that finished since the last
        call. Raises DataError for an empty prompt and for one that fills the context.
        """
        return greedy.generate(
            self._engine, prompts, max_new_tokens=max_new_tokens, batch=batch, stops=self.stops, report=report
        )

    def logprobs(self, prompts: Sequence[TokenIds], completions: Sequence[TokenIds]) -> list[list[float]]:
        """Natural-log probability of every completion token given the tokens before it.

        Raises DataError for an empty prompt and for a row longer than the context.
        """
        rows = [
            self._encode_row(index, prompt, completion)
            for index, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
        ]
        logprobs: list[list[float]] = []
        for group in split_micro_batches(rows, MAX_TOKENS_PER_BATCH):
            values = iter(token_logprobs(self.model, pack_rows(group, unwrap_peft(self.model).device)).tolist())
            logprobs.extend([next(values) for _ in range(row.supervised)] for row in group)
        return logprobs

    def _encode_row(self, index: int, prompt: TokenIds, completion: TokenIds) -> EncodedSequence:
        ids = (*prompt, *completion)
        if not prompt or len(ids) > self.context:
            raise DataError(
                f"row {index} has {len(prompt)} + {len(completion)} tokens (prompt + completion); the context holds "
                f"{self.context}",
                hint="shorten the row; the prompt must not be empty",
            )
        return EncodedSequence(row_id=str(index), ids=ids, spans=((len(prompt), len(ids)),))

    def choose(
        self,
        prompts: Sequence[TokenIds],
        options: Sequence[TokenIds],
        *,
        batch: int = 128,
        report: Callable[[int], None] = ignore_progress,
    ) -> list[Choice]:
        """For each prompt the most likely of `options` and its log-probability; see `label_scores.label_completions`."""
        return label_scores.choose(self._engine, prompts, options, batch=batch, report=report)

    def stream(
        self,
        prompt: TokenIds,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        stop_ids: frozenset[int] | None = None,
    ) -> Iterator[int]:
        """Yield the tokens of one completion as they are generated, a stop id included. Temperature 0 is greedy."""
        return sampling.stream_tokens(
            self._engine,
            prompt,
            max_new_tokens=max_new_tokens,
            sampling=sampling.Sampling(temperature, top_p, seed),
            stops=self.stops if stop_ids is None else stop_ids,
        )


def open_local(folder: Path, *, digest: str, base: Path | None = None, dtype: Precision = "fp32") -> LocalModel:
    """Load a model or adapter folder. Raises the errors of `loading.load_folder` and `self_check.check_exact`."""
    model, tokenizer = load_folder(folder, base=base, dtype=dtype)
    return _checked_model(model, tokenizer, digest, folder)


def strip_adapter(tuned: LocalModel, folder: Path, *, digest: str) -> LocalModel | None:
    """The base under an adapter, without reading its weights again. `tuned` must not be used afterwards.

    `folder` and `digest` are those of the base. Returns None if the weights under the adapter differ from the base loaded
    alone: a full model, a base in 4 bits, an adapter that replaces modules of the base.
    """
    model = without_adapter(tuned.model)
    if model is None:
        return None
    return _checked_model(model, open_tokenizer(folder), digest, folder)


def _checked_model(model: Any, tokenizer: PreTrainedTokenizerBase, digest: str, folder: Path) -> LocalModel:
    """Run the self-check with fused linear layers; if it fails, run the model unfused and check that."""
    fused = fused_trunk(model)
    if fused is not None:
        try:
            check_exact(model, tokenizer, where=str(folder), fused=fused)
        except DataError:
            raise
        except Misuse:
            fused = None
    if fused is None:
        check_exact(model, tokenizer, where=str(folder))
    return LocalModel(model, tokenizer, digest, fused)
