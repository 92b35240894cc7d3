"""Seq2seq on an encoder-decoder: a source text in, a target text out, as in translation, summaries and text from data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Row
from tunesmith.chat.answer_spans import row_error
from tunesmith.errors import RecipeError
from tunesmith.models.heads import TaskHead
from tunesmith.models.packed import unwrap_peft
from tunesmith.models.target_tokens import decoder_input_ids, target_ids, target_ids_without_specials
from tunesmith.models.tasks import padded
from tunesmith.models.tasks.encoder_settings import check_encoder_settings
from tunesmith.recipe import TaskSettings, TrainSettings

SEQ2SEQ_HEAD: Final = TaskHead("seq2seq")
IGNORED_LABEL: Final = -100
"""The label of padding, as transformers' own loss reads it."""


@dataclass(frozen=True)
class Seq2seqRow:
    """Tokens of a row: the source as the encoder reads it, the target as the decoder is to write it, its end included."""

    row_id: str
    source: tuple[int, ...]
    target: tuple[int, ...] = ()
    first_token: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        return (*self.source, *self.target)

    @property
    def sides(self) -> tuple[int, int]:
        return len(self.source), len(self.target)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        return ((len(self.source), len(self.source) + len(self.target)),)

    @property
    def supervised(self) -> int:
        """Every token of the target is predicted, the first from the token that the decoder starts with."""
        return len(self.target)

    @property
    def weight(self) -> float:
        return float(self.supervised)


@dataclass(frozen=True)
class Seq2seqBatch:
    """`ids` and `mask` [B, S] int64, 0 behind a source's end in both; `labels` [B, T] int64, -100 behind a target's end.

    `tokens` counts both sides, padding too.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor

    @property
    def tokens(self) -> int:
        return self.ids.numel() + self.labels.numel()


@dataclass(frozen=True)
class Seq2seqTask:
    """The task's instruction stands before every source, e.g. T5's `summarize:`."""

    settings: TaskSettings
    labels: tuple[str, ...] = ()
    head: TaskHead = SEQ2SEQ_HEAD

    def check(self, settings: TrainSettings) -> None:
        check_encoder_settings(settings)
        if settings.head_learning_rate:
            hint = "leave train.head_learning_rate out"
            raise RecipeError("the head of an encoder-decoder is its own", where="train.head_learning_rate", hint=hint)

    @property
    def how(self) -> str:
        """How the model answers, in words."""
        return "greedy text"

    def expected(self, row: Row) -> str:
        return row.example.completion

    def source(self, row: Row) -> str:
        """What the encoder reads of a row, the instruction first. Raises DataError for a row with more than one question."""
        example = row.example
        if example.messages and [turn.role for turn in example.prompt] != ["user"]:
            roles = ", ".join(turn.role for turn in example.messages)
            hint = "give rows of one question and one answer; task: chat on a decoder takes whole conversations"
            raise row_error(row, f"the row has the turns {roles}, and seq2seq has one source and one target", hint)
        return with_instruction_prefix(self.settings.instruction, padded.encoder_text(row))

    def encode(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str) -> list[Seq2seqRow]:
        source = self.question(row, tokenizer, window=window).source
        _check_target(row)
        target = target_ids(tokenizer, row.example.completion)
        if not any(
            one != tokenizer.unk_token_id for one in target_ids_without_specials(tokenizer, row.example.completion)
        ):
            raise row_error(row, "the tokenizer leaves nothing of the target", "take a base that knows its characters")
        padded.check_length(row, target, window, what="a target of ")
        return [Seq2seqRow(row.row_id, source, tuple(target))]

    def question(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int) -> Seq2seqRow:
        """The source of a row. Raises DataError with its id for one that is empty, and beyond `window` tokens."""
        source = self.source(row)
        padded.check_has_tokens(row, padded.encoder_text(row), tokenizer)
        ids = padded.text_ids(tokenizer, source)
        padded.check_length(row, ids, window, what="a source of ")
        return Seq2seqRow(row.row_id, tuple(ids))

    def split(self, rows: Sequence[Seq2seqRow], tokens_per_pass: int, *, share: bool = False) -> list[list[Seq2seqRow]]:
        groups = padded.split_two_sided([row.sides for row in rows], tokens_per_pass)
        return [[rows[at] for at in group] for group in groups]

    def pack(
        self, rows: Sequence[Seq2seqRow], device: torch.device, *, share: bool = False, whole: bool = False
    ) -> Seq2seqBatch:
        ids, mask = padded.pad([row.source for row in rows], device)
        targets, kept = padded.pad([row.target for row in rows], device)
        return Seq2seqBatch(ids, mask, targets.masked_fill(kept == 0, IGNORED_LABEL))

    def loss(self, model: Any, batch: Seq2seqBatch, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Sum over the tokens of the targets of the cross-entropy (nats)."""
        kept = batch.labels != IGNORED_LABEL
        logits = seq2seq_logits(model, batch)[kept]
        return cross_entropy(logits, batch.labels[kept], reduction="sum", label_smoothing=label_smoothing)

    def computed(self, rows: Sequence[Seq2seqRow], *, share: bool) -> int:
        return sum(padded.padded_tokens(side) for side in zip(*(row.sides for row in rows), strict=True))

    def read_back(self, piece: Seq2seqRow, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
        return [(str(tokenizer.decode(list(piece.source))), 0.0), (str(tokenizer.decode(list(piece.target))), 1.0)]

    def check_model(self, model: Any, pieces: Sequence[Seq2seqRow], tokenizer: PreTrainedTokenizerBase) -> None:
        check_seq2seq_padding(model, shortest_and_longest_rows(pieces), where="base")


def with_instruction_prefix(instruction: str | None, text: str) -> str:
    """The instruction before a text, with a space between unless it brings its own."""
    if not instruction:
        return text
    return f"{instruction}{'' if instruction[-1].isspace() else ' '}{text}"


def seq2seq_logits(model: Any, batch: Seq2seqBatch) -> torch.Tensor:
    """[B, T, V] fp32 (fp64 for a model in fp64). What the decoder reads is shifted by the model's own code.

    Padding of the source is masked. That of the target stands behind what the causal decoder reads at any place that counts.
    """
    causal = unwrap_peft(model)
    filled = batch.ids.masked_fill(batch.mask == 0, causal.config.pad_token_id)
    read = decoder_input_ids(causal, batch.labels)
    logits: torch.Tensor = model(
        input_ids=filled, attention_mask=batch.mask, decoder_input_ids=read, use_cache=False
    ).logits
    return logits if logits.dtype == torch.float64 else logits.float()


def check_seq2seq_padding(model: Any, pairs: Sequence[Seq2seqRow], *, where: str) -> None:
    """Raises Misuse when the logits of a target change with the row beside it by more than rounding."""
    task = Seq2seqTask(TaskSettings(type="seq2seq"))
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad():
        together = seq2seq_logits(model, task.pack(pairs, device))
        alone = [seq2seq_logits(model, task.pack([pair], device))[0] for pair in pairs]
    model.train(training)
    parts = [mine[: len(pair.target)] for mine, pair in zip(together, pairs, strict=True)]
    padded.check_same_logits(model, parts, alone, lengths=[len(pair.ids) for pair in pairs], where=where)


def shortest_and_longest_rows(pieces: Sequence[Seq2seqRow]) -> list[Seq2seqRow]:
    """Two rows to try a model on: the shortest source beside the longest, targets likewise."""
    by_source = sorted(pieces, key=lambda piece: piece.sides)
    by_target = sorted(pieces, key=lambda piece: piece.sides[::-1])
    short, long = by_source[0], by_source[-1]
    first, last = by_target[0].target, by_target[-1].target
    source = short.source if len(short.source) < len(long.source) else (*long.source[:-2], long.source[-1])
    return [Seq2seqRow(short.row_id, source, last), Seq2seqRow(long.row_id, long.source, first)]


def _check_target(row: Row) -> None:
    example = row.example
    if not example.messages and (example.labels is None or len(example.labels) != 1):
        hint = "name the columns, e.g. `columns: {prompt: article, completion: summary}`"
        raise row_error(row, "there is no target", hint)
    padded.check_no_weight(row)
    if not example.completion.strip():
        raise row_error(row, "the target is empty")
