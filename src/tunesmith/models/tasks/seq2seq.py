"""Sequence to sequence with an encoder-decoder: translation, summarization, data to text."""

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
"""The label of padding, as in the loss of transformers."""


@dataclass(frozen=True)
class Seq2seqRow:
    """Token ids of a row: what the encoder reads, and what the decoder must generate, end token included."""

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
        """Number of trained predictions: every token of the target, the first from the decoder's start token."""
        return len(self.target)

    @property
    def weight(self) -> float:
        return float(self.supervised)


@dataclass(frozen=True)
class Seq2seqBatch:
    """Rows with sources of at most S and targets of at most T tokens, both padded at the end."""

    ids: torch.Tensor
    """[rows, S] int64 source ids, 0 at padding."""

    mask: torch.Tensor
    """[rows, S] int64: 1 at tokens, 0 at padding."""

    labels: torch.Tensor
    """[rows, T] int64 target ids, -100 at padding."""

    @property
    def tokens(self) -> int:
        return self.ids.numel() + self.labels.numel()


@dataclass(frozen=True)
class Seq2seqTask:
    """The task's instruction is put before every source, e.g. `summarize:` for T5."""

    settings: TaskSettings
    labels: tuple[str, ...] = ()
    head: TaskHead = SEQ2SEQ_HEAD

    def check(self, settings: TrainSettings) -> None:
        check_encoder_settings(settings)
        if settings.head_learning_rate:
            hint = "remove train.head_learning_rate"
            raise RecipeError(
                "an encoder-decoder has no separate head to train", where="train.head_learning_rate", hint=hint
            )

    @property
    def how(self) -> str:
        """How the model answers, for reports."""
        return "greedy text"

    def expected(self, row: Row) -> str:
        return row.example.completion

    def source(self, row: Row) -> str:
        """The text that the encoder reads, instruction first. Raises DataError for a row with more than one question."""
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
            token != tokenizer.unk_token_id for token in target_ids_without_specials(tokenizer, row.example.completion)
        ):
            raise row_error(row, "the tokenizer leaves nothing of the target", "take a base that knows its characters")
        padded.check_length(row, target, window, what="a target of ")
        return [Seq2seqRow(row.row_id, source, tuple(target))]

    def question(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int) -> Seq2seqRow:
        """Encode the source of a row. Raises DataError with its id if it is empty or has more than `window` tokens."""
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
        targets, target_mask = padded.pad([row.target for row in rows], device)
        return Seq2seqBatch(ids, mask, targets.masked_fill(target_mask == 0, IGNORED_LABEL))

    def loss(self, model: Any, batch: Seq2seqBatch, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Summed cross-entropy (nats) of the target tokens."""
        is_target = batch.labels != IGNORED_LABEL
        logits = seq2seq_logits(model, batch)[is_target]
        return cross_entropy(logits, batch.labels[is_target], reduction="sum", label_smoothing=label_smoothing)

    def computed(self, rows: Sequence[Seq2seqRow], *, share: bool) -> int:
        return sum(padded.padded_tokens(side) for side in zip(*(row.sides for row in rows), strict=True))

    def read_back(self, piece: Seq2seqRow, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
        return [(str(tokenizer.decode(list(piece.source))), 0.0), (str(tokenizer.decode(list(piece.target))), 1.0)]

    def check_model(self, model: Any, pieces: Sequence[Seq2seqRow], tokenizer: PreTrainedTokenizerBase) -> None:
        check_seq2seq_padding(model, shortest_and_longest_rows(pieces), where="base")


def with_instruction_prefix(instruction: str | None, text: str) -> str:
    """The instruction followed by the text, with a space between unless the instruction ends with whitespace."""
    if not instruction:
        return text
    return f"{instruction}{'' if instruction[-1].isspace() else ' '}{text}"


def seq2seq_logits(model: Any, batch: Seq2seqBatch) -> torch.Tensor:
    """Logits [rows, T, vocabulary] in fp32 (fp64 for a model in fp64). Decoder inputs are shifted by the model's own code.

    Padding of the source is masked. Padding of the target needs no mask: the decoder is causal, so no real token reads it.
    """
    causal = unwrap_peft(model)
    filled = batch.ids.masked_fill(batch.mask == 0, causal.config.pad_token_id)
    decoder_ids = decoder_input_ids(causal, batch.labels)
    logits: torch.Tensor = model(
        input_ids=filled, attention_mask=batch.mask, decoder_input_ids=decoder_ids, use_cache=False
    ).logits
    return logits if logits.dtype == torch.float64 else logits.float()


def check_seq2seq_padding(model: Any, pairs: Sequence[Seq2seqRow], *, where: str) -> None:
    """Raises Misuse if the logits of a target depend on the other rows of its batch beyond rounding."""
    task = Seq2seqTask(TaskSettings(type="seq2seq"))
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.no_grad():
        together = seq2seq_logits(model, task.pack(pairs, device))
        alone = [seq2seq_logits(model, task.pack([pair], device))[0] for pair in pairs]
    model.train(training)
    parts = [logits[: len(pair.target)] for logits, pair in zip(together, pairs, strict=True)]
    padded.check_same_logits(model, parts, alone, lengths=[len(pair.ids) for pair in pairs], where=where)


def shortest_and_longest_rows(pieces: Sequence[Seq2seqRow]) -> list[Seq2seqRow]:
    """Two rows to check a model with: the shortest and longest source, each with the other extreme of the targets."""
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
