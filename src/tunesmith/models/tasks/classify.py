"""Classification with an encoder: a head over the whole row predicts one label, any number of labels, or a score."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Row
from tunesmith.chat.answer_spans import row_error
from tunesmith.models.heads import PROBLEM_TYPES, TaskHead
from tunesmith.models.tasks import padded
from tunesmith.models.tasks.encoder_settings import check_encoder_settings, check_no_chat_keys
from tunesmith.models.tasks.padded import EncoderRow, PaddedBatch
from tunesmith.recipe import TaskSettings, TrainSettings


@dataclass(frozen=True)
class ClassifyTask:
    """`labels` are those of the training rows, sorted; none for a score, or if rows are only to be measured."""

    settings: TaskSettings
    labels: tuple[str, ...]

    @property
    def head(self) -> TaskHead:
        return TaskHead("sequence", self.labels, PROBLEM_TYPES[self.settings.labels])

    def check(self, settings: TrainSettings) -> None:
        check_encoder_settings(settings)
        check_no_chat_keys(self.settings)

    def expected(self, row: Row) -> str:
        """The label; the labels as a JSON list, sorted; or the number as text."""
        if self.settings.labels == "multi":
            return json.dumps(sorted(row_labels(row)), ensure_ascii=False)
        return row.example.completion.strip()

    def encode(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str) -> list[EncoderRow]:
        padded.check_no_weight(row)
        return [replace(self.question(row, tokenizer, window=window), targets=self._targets(row))]

    @property
    def how(self) -> str:
        match self.settings.labels:
            case "single":
                return f"the most likely of {len(self.labels)} labels"
            case "multi":
                return f"each of {len(self.labels)} labels that is likelier than not"
            case "score":
                return "the number that the head gives"

    def question(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int) -> EncoderRow:
        text = padded.encoder_text(row)
        padded.check_has_tokens(row, text, tokenizer)
        ids = padded.text_ids(tokenizer, text)
        padded.check_length(row, ids, window)
        return EncoderRow(row.row_id, tuple(ids), ())

    def answer(self, row: EncoderRow, logits: torch.Tensor) -> str:
        match self.settings.labels:
            case "single":
                return self.labels[int(logits.argmax())]
            case "multi":
                chosen = [label for label, value in zip(self.labels, logits.tolist(), strict=True) if value > 0]
                return json.dumps(sorted(chosen), ensure_ascii=False)
            case "score":
                return f"{float(logits[0]):.6g}"

    def scores(self, logits: torch.Tensor) -> list[tuple[str, float]]:
        """Every label with its probability, most likely first; or the score alone.

        Probabilities sum to 1 with one label per row, and are independent with several.
        """
        match self.settings.labels:
            case "single":
                values = logits.softmax(dim=0)
            case "multi":
                values = logits.sigmoid()
            case "score":
                return [("score", float(logits[0]))]
        pairs = zip(self.labels, values.tolist(), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])

    def _targets(self, row: Row) -> tuple[float, ...]:
        if self.settings.labels == "score":
            return (row_score(row),)
        labels = row_labels(row)
        if self.settings.labels == "single" and len(labels) != 1:
            hint = "set task: {type: classify, labels: multi}"
            raise row_error(row, f"{len(labels)} labels, and the task has one a row", hint)
        if not self.labels:
            return (0.0,)
        if unknown := next((name for name in labels if name not in self.labels), None):
            raise row_error(row, f"no training row has the label {unknown!r}")
        if self.settings.labels == "single":
            return (float(self.labels.index(labels[0])),)
        return tuple(float(label in labels) for label in self.labels)

    def split(self, rows: Sequence[EncoderRow], tokens_per_pass: int, *, share: bool = False) -> list[list[EncoderRow]]:
        groups = padded.split_padded([len(row.ids) for row in rows], tokens_per_pass)
        return [[rows[at] for at in group] for group in groups]

    def pack(
        self, rows: Sequence[EncoderRow], device: torch.device, *, share: bool = False, whole: bool = False
    ) -> PaddedBatch:
        targets = torch.tensor([row.targets for row in rows], dtype=torch.float32)
        match self.settings.labels:
            case "single":
                targets = targets[:, 0].to(torch.int64)
            case "score":
                targets = targets[:, 0]
        return padded.pad_rows(rows, targets, device)

    def loss(self, model: Any, batch: PaddedBatch, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Sum over rows of cross-entropy (nats), of binary cross-entropy averaged over labels, or of the squared error."""
        logits = padded.padded_logits(model, batch.ids, batch.mask)  # (rows, labels)
        match self.settings.labels:
            case "single":
                return cross_entropy(logits, batch.targets, reduction="sum", label_smoothing=label_smoothing)
            case "multi":
                losses = binary_cross_entropy_with_logits(logits, batch.targets.to(logits), reduction="none")
                return losses.mean(dim=1).sum()
            case "score":
                return mse_loss(logits[:, 0], batch.targets.to(logits), reduction="sum")

    def computed(self, rows: Sequence[EncoderRow], *, share: bool) -> int:
        return padded.padded_tokens([len(row.ids) for row in rows])

    def read_back(self, piece: EncoderRow, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
        return [(str(tokenizer.decode(list(piece.ids))), 0.0), (self._named(piece), 1.0)]

    def _named(self, piece: EncoderRow) -> str:
        match self.settings.labels:
            case "single":
                return self.labels[int(piece.targets[0])]
            case "multi":
                chosen = [label for label, target in zip(self.labels, piece.targets, strict=True) if target]
                return ", ".join(chosen) or "(no label)"
            case "score":
                return f"{piece.targets[0]:g}"

    def check_model(self, model: Any, pieces: Sequence[EncoderRow], tokenizer: PreTrainedTokenizerBase) -> None:
        padded.check_padding(model, padded.shortest_and_longest(pieces), where="base")


def row_labels(row: Row) -> list[str]:
    """The labels of a row's example, or the answer of its conversation as the one label."""
    if row.example.labels is not None and not row.example.messages:
        return list(row.example.labels)
    return [row.example.completion.strip()]


def row_score(row: Row) -> float:
    """The row's label as a number. Raises DataError with the row's id if it is not one."""
    text = row.example.completion.strip()
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0:  # not a number, or infinite
        raise row_error(row, f"the label {text[:40]!r} is not a number", "task.labels: score wants a number a row")
    return value
