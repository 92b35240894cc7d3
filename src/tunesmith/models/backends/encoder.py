"""An encoder on this machine: logits of whole rows or of their tagged tokens, rows of like length side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from transformers import PreTrainedTokenizerBase

from tunesmith.models.architecture import max_positions
from tunesmith.models.heads import TaskHead, load_with_head
from tunesmith.models.loading import Precision
from tunesmith.models.packed.forward import unwrap_peft
from tunesmith.models.tasks.padded import EncoderRow, check_padding, pad, padded_logits, split_padded

MAX_TOKENS_PER_BATCH = 8192
"""Bounds memory; changes no value beyond rounding."""

PADDING_PROBE_TEXTS = (
    "One line of text.",
    "A longer line of text stands beside it, so that the shorter one is padded to its length.",
)


def ignore_progress(rows: int) -> None:
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
        return max_positions(unwrap_peft(self.model), self.tokenizer)

    @torch.no_grad()
    def logits(
        self, rows: Sequence[EncoderRow], *, report: Callable[[int], None] = ignore_progress
    ) -> list[torch.Tensor]:
        """For each row [C], or [S, C] of the tokens in its `places`, fp32. `report` is told how many rows each pass has done."""
        found: list[torch.Tensor] = [torch.empty(0)] * len(rows)
        for group, ids, mask in self._passes(rows):
            made = padded_logits(self.model, ids, mask).cpu()
            for at, mine in zip(group, made, strict=True):
                found[at] = mine[list(rows[at].places)] if mine.ndim == 2 else mine
            report(len(group))
        return found

    @torch.no_grad()
    def states(self, rows: Sequence[EncoderRow], *, report: Callable[[int], None] = ignore_progress) -> torch.Tensor:
        """[N, D] fp32: the mean over each row's tokens of the trunk's last hidden states, of length 1."""
        trunk = unwrap_peft(self.model).base_model
        found = torch.zeros(len(rows), trunk.config.hidden_size)
        for group, ids, mask in self._passes(rows):
            hidden = trunk(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            kept = mask[:, :, None].float()
            found[group] = torch.nn.functional.normalize((hidden * kept).sum(1) / kept.sum(1)).cpu()
            report(len(group))
        return found

    def _passes(self, rows: Sequence[EncoderRow]) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """(indices of rows, ids, mask) of every pass."""
        device = next(self.model.parameters()).device
        for group in split_padded([len(row.ids) for row in rows], MAX_TOKENS_PER_BATCH):
            yield group, *pad([rows[at].ids for at in group], device)


def open_encoder(
    folder: Path,
    head: TaskHead,
    *,
    digest: str,
    base: Path | None = None,
    dtype: Precision = "fp32",
    seed: int | None = None,
) -> EncoderModel:
    """Load a model or adapter folder; see `heads.load_headed` for what is refused, and for `seed`.

    Raises Misuse for a model that gives a row other logits beside a longer row than alone.
    """
    model, tokenizer = load_with_head(folder, head, base=base, dtype=dtype, seed=seed)
    check_padding(model, [tokenizer.encode(text) for text in PADDING_PROBE_TEXTS], where=str(folder))
    return EncoderModel(model, tokenizer, digest)
