"""The model on this machine: greedy completions, log-probabilities, choice among labels, a stream of tokens."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from tunesmith import process
from tunesmith.data.chat import Encoded, stop_ids
from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends import greedy, labels, sampling
from tunesmith.models.backends.engine import Engine, Ids
from tunesmith.models.backends.fused import FusedTrunk, fused_trunk
from tunesmith.models.backends.search import Choice
from tunesmith.models.backends.trial import check_exact
from tunesmith.models.loading import Precision, bare, load_folder, open_tokenizer
from tunesmith.models.packed.forward import token_logprobs, unwrapped
from tunesmith.models.packed.plan import pack, split_passes

process.prepare()

from transformers import PreTrainedTokenizerBase  # noqa: E402

TOKENS_PER_PASS = 8192
"""Bounds the memory of `logprobs`; changes no value beyond rounding."""


def no_report(rows: int) -> None:
    """Nobody waits."""


@final
@dataclass(frozen=True)
class LocalModel:
    """Satisfies `ports.Model`. `model` is a causal LM of transformers or PEFT's wrapper, `digest` that of its files.

    The same inputs give the same outputs; another batch size can change the last bits of a log-probability. Not safe
    for calls from two threads at once.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    digest: str
    fused: FusedTrunk | None = None

    @cached_property
    def stops(self) -> frozenset[int]:
        """Ids that end a completion."""
        return stop_ids(self.tokenizer)

    @property
    def context(self) -> int:
        """Positions, prompt and completion together."""
        return self._engine.context

    @property
    def _engine(self) -> Engine:
        return Engine(self.model, self.fused)

    def generate(
        self,
        prompts: Sequence[Ids],
        *,
        max_new_tokens: int,
        batch: int = 64,
        report: Callable[[int], None] = no_report,
    ) -> list[list[int]]:
        """Greedy completions without prompt and end token, equal to those of transformers' `generate(do_sample=False)`.

        A completion stops at the end of the context. `report` is told how many prompts each batch has finished. Raises
        DataError for an empty prompt and for one that fills the context.
        """
        return greedy.generate(
            self._engine, prompts, max_new_tokens=max_new_tokens, batch=batch, stops=self.stops, report=report
        )

    def logprobs(self, prompts: Sequence[Ids], completions: Sequence[Ids]) -> list[list[float]]:
        """Natural-log probability of every completion token given the prompt and the completion so far.

        Raises DataError for an empty prompt and for a row over the context length.
        """
        rows = [
            self._row(index, prompt, completion)
            for index, (prompt, completion) in enumerate(zip(prompts, completions, strict=True))
        ]
        found: list[list[float]] = []
        for group in split_passes(rows, TOKENS_PER_PASS):
            values = iter(token_logprobs(self.model, pack(group, unwrapped(self.model).device)).tolist())
            found.extend([next(values) for _ in range(row.supervised)] for row in group)
        return found

    def _row(self, index: int, prompt: Ids, completion: Ids) -> Encoded:
        ids = (*prompt, *completion)
        if not prompt or len(ids) > self.context:
            raise DataError(
                f"row {index} has {len(prompt)} + {len(completion)} tokens; the context holds {self.context}"
            )
        return Encoded(row_id=str(index), ids=ids, spans=((len(prompt), len(ids)),))

    def choose(
        self,
        prompts: Sequence[Ids],
        options: Sequence[Ids],
        *,
        batch: int = 128,
        report: Callable[[int], None] = no_report,
    ) -> list[Choice]:
        """The best of `options` (complete completions, see `labels.label_options`) for each prompt, and its log-probability."""
        return labels.choose(self._engine, prompts, options, batch=batch, report=report)

    def stream(
        self,
        prompt: Ids,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        stop_ids: frozenset[int] | None = None,
    ) -> Iterator[int]:
        """Tokens of one completion as they are chosen; a stop id is yielded and is the last. Temperature 0 is greedy."""
        return sampling.stream(
            self._engine,
            prompt,
            max_new_tokens=max_new_tokens,
            sampling=sampling.Sampling(temperature, top_p, seed),
            stops=self.stops if stop_ids is None else stop_ids,
        )


def open_local(folder: Path, *, digest: str, base: Path | None = None, dtype: Precision = "fp32") -> LocalModel:
    """Load a model or adapter folder; see `loading.load_folder` for what is refused.

    Raises Misuse, naming the family, for a model whose answers would not be exactly its own (`trial.check_exact`).
    """
    model, tokenizer = load_folder(folder, base=base, dtype=dtype)
    return _tried(model, tokenizer, digest, folder)


def without_adapter(tuned: LocalModel, folder: Path, *, digest: str) -> LocalModel | None:
    """The base under an adapter, without reading its weights again; `tuned` is of no use afterwards.

    `folder` and `digest` are those of the base. None where what is under the adapter is not the base as it would be loaded
    alone: a whole model, a base in 4 bits, an adapter that keeps modules of its own beside the base's.
    """
    model = bare(tuned.model)
    if model is None:
        return None
    return _tried(model, open_tokenizer(folder), digest, folder)


def _tried(model: Any, tokenizer: PreTrainedTokenizerBase, digest: str, folder: Path) -> LocalModel:
    """With its products joined where that is the model's own forward within its rounding, else as it is, if that is."""
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
