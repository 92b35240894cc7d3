"""An encoder on this machine: logits of rows or of their tagged tokens, in padded batches of rows of similar length."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from transformers import PreTrainedTokenizerBase

from tunesmith.models.architecture import max_positions
from tunesmith.models.heads import TaskHead, load_with_head
from tunesmith.models.loading import Precision
from tunesmith.models.packed import unwrap_peft
from tunesmith.models.tasks.padded import EncoderRow, check_padding, pad, padded_logits, split_padded

MAX_TOKENS_PER_BATCH = 8192
"""Tokens of one padded batch. Bounds memory; changes no value beyond rounding."""

PADDING_PROBE_TEXTS = (
    "One line of text.",
    "A longer line of text stands beside it, so that the shorter one is padded to its length.",
)


def ignore_progress(rows: int) -> None:
    """Discard the number of finished rows."""


@final
@dataclass(frozen=True)
class EncoderModel:
    """`model` is a transformers model with its head, or PEFT's wrapper around one; `digest` is the digest of its files.

    Not thread-safe.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    digest: str

    @property
    def context(self) -> int:
        """The most tokens that a row may have."""
        return max_positions(unwrap_peft(self.model), self.tokenizer)

    @torch.no_grad()
    def logits(
        self, rows: Sequence[EncoderRow], *, report: Callable[[int], None] = ignore_progress
    ) -> list[torch.Tensor]:
        """Logits in fp32: [C] for each row, or [S, C] for the S tokens in its `places`. `report` receives the number of rows
        of each finished batch."""
        outputs: list[torch.Tensor] = [torch.empty(0)] * len(rows)
        for group, ids, mask in self._padded_batches(rows):
            logits = padded_logits(self.model, ids, mask).cpu()  # (B, C), or (B, L, C) for tokens
            for index, values in zip(group, logits, strict=True):
                outputs[index] = values[list(rows[index].positions)] if values.ndim == 2 else values
            report(len(group))
        return outputs

    @torch.no_grad()
    def states(self, rows: Sequence[EncoderRow], *, report: Callable[[int], None] = ignore_progress) -> torch.Tensor:
        """Row embeddings [N, D] in fp32: the mean of the trunk's last hidden states over each row's tokens, scaled to length
        1."""
        trunk = unwrap_peft(self.model).base_model
        embeddings = torch.zeros(len(rows), trunk.config.hidden_size)
        for group, ids, mask in self._padded_batches(rows):
            hidden = trunk(input_ids=ids, attention_mask=mask).last_hidden_state.float()  # (B, L, D)
            weights = mask[:, :, None].float()
            embeddings[group] = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1)).cpu()
            report(len(group))
        return embeddings

    def _padded_batches(self, rows: Sequence[EncoderRow]) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """(indices of the rows, ids [B, L], mask [B, L]) of every batch."""
        device = next(self.model.parameters()).device
        for group in split_padded([len(row.ids) for row in rows], MAX_TOKENS_PER_BATCH):
            yield group, *pad([rows[index].ids for index in group], device)


def open_encoder(
    folder: Path,
    head: TaskHead,
    *,
    digest: str,
    base: Path | None = None,
    dtype: Precision = "fp32",
    seed: int | None = None,
) -> EncoderModel:
    """Load a model or adapter folder; see `heads.load_with_head` for its errors and for `seed`.

    Raises Misuse if the logits of a row change when it is padded beside a longer row.
    """
    model, tokenizer = load_with_head(folder, head, base=base, dtype=dtype, seed=seed)
    check_padding(model, [tokenizer.encode(text) for text in PADDING_PROBE_TEXTS], where=str(folder))
    return EncoderModel(model, tokenizer, digest)
