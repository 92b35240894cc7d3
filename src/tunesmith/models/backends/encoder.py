"""An encoder on this machine: logits of whole rows or of their tagged tokens, rows of like length side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tunesmith import process
from tunesmith.models.architecture import positions_of
from tunesmith.models.heads import Head, load_headed
from tunesmith.models.loading import Precision
from tunesmith.models.packed.forward import unwrapped
from tunesmith.models.tasks.padded import Labelled, check_padding, logits_of, pad, split_padded

process.prepare()

import torch  # noqa: E402
from transformers import PreTrainedTokenizerBase  # noqa: E402

TOKENS_PER_PASS = 8192
"""Bounds memory; changes no value beyond rounding."""

PROBES = (
    "One line of text.",
    "A longer line of text stands beside it, so that the shorter one is padded to its length.",
)


def no_report(rows: int) -> None:
    """Nobody waits."""


@final
@dataclass(frozen=True)
class EncoderModel:
    """`model` is transformers' model with its head, or PEFT's wrapper around one; `digest` is that of its files.

    Not safe for calls from two threads at once.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    digest: str

    @property
    def context(self) -> int:
        """Tokens that a row may have."""
        return positions_of(unwrapped(self.model), self.tokenizer)

    @torch.no_grad()
    def logits(self, rows: Sequence[Labelled], *, report: Callable[[int], None] = no_report) -> list[torch.Tensor]:
        """For each row [C], or [S, C] of the tokens in its `places`, fp32. `report` is told how many rows each pass has done."""
        found: list[torch.Tensor] = [torch.empty(0)] * len(rows)
        for group, ids, mask in self._passes(rows):
            made = logits_of(self.model, ids, mask).cpu()
            for at, mine in zip(group, made, strict=True):
                found[at] = mine[list(rows[at].places)] if mine.ndim == 2 else mine
            report(len(group))
        return found

    @torch.no_grad()
    def states(self, rows: Sequence[Labelled], *, report: Callable[[int], None] = no_report) -> torch.Tensor:
        """[N, D] fp32: the mean over each row's tokens of the trunk's last hidden states, of length 1."""
        trunk = unwrapped(self.model).base_model
        found = torch.zeros(len(rows), trunk.config.hidden_size)
        for group, ids, mask in self._passes(rows):
            hidden = trunk(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            kept = mask[:, :, None].float()
            found[group] = torch.nn.functional.normalize((hidden * kept).sum(1) / kept.sum(1)).cpu()
            report(len(group))
        return found

    def _passes(self, rows: Sequence[Labelled]) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """(indices of rows, ids, mask) of every pass."""
        device = next(self.model.parameters()).device
        for group in split_padded([len(row.ids) for row in rows], TOKENS_PER_PASS):
            yield group, *pad([rows[at].ids for at in group], device)


def open_encoder(
    folder: Path,
    head: Head,
    *,
    digest: str,
    base: Path | None = None,
    dtype: Precision = "fp32",
    seed: int | None = None,
) -> EncoderModel:
    """Load a model or adapter folder; see `heads.load_headed` for what is refused, and for `seed`.

    Raises Misuse for a model that gives a row other logits beside a longer row than alone.
    """
    model, tokenizer = load_headed(folder, head, base=base, dtype=dtype, seed=seed)
    check_padding(model, [tokenizer.encode(text) for text in PROBES], where=str(folder))
    return EncoderModel(model, tokenizer, digest)
