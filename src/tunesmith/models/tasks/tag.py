"""Tagging with an encoder: a head over every token predicts the tag of each word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Row
from tunesmith.chat.answer_spans import row_error
from tunesmith.models.heads import TaskHead
from tunesmith.models.tasks import padded
from tunesmith.models.tasks.encoder_settings import check_encoder_settings
from tunesmith.models.tasks.padded import EncoderRow, PaddedBatch
from tunesmith.recipe import TaskSettings, TrainSettings

OUTSIDE_TAG = "O"
"""The tag of a word that the tokenizer encodes as no tokens."""


@dataclass(frozen=True)
class TagTask:
    """`labels` are the tags of the training rows, sorted; none if rows are only to be measured.

    A word's tag is read at its first token. With `subwords: all` its other tokens are trained too: to the same tag, or to I-x
    after B-x.
    """

    settings: TaskSettings
    labels: tuple[str, ...]

    @property
    def head(self) -> TaskHead:
        return TaskHead("token", self.labels)

    @property
    def how(self) -> str:
        return f"the likeliest of {len(self.labels)} tags at the first token of each word"

    def check(self, settings: TrainSettings) -> None:
        check_encoder_settings(settings)

    def expected(self, row: Row) -> str:
        """The tags, separated by spaces."""
        return row.example.completion

    def encode(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str) -> list[EncoderRow]:
        tags = row.example.tags
        if tags is None:
            raise row_error(row, "there are no tags", "task: tag wants rows of tokens and tags, e.g. a .conll file")
        piece = self.question(row, tokenizer, window=window)
        positions, words = piece.positions, piece.words
        if self.settings.subwords == "all":
            positions, words = self._all_subwords(row, tokenizer)
        token_tags, started = [], set()
        for word in words:
            token_tags.append(self._inside_tag(tags[word]) if word in started else tags[word])
            started.add(word)
        if self.labels and (unknown := next((tag for tag in token_tags if tag not in self.labels), None)):
            raise row_error(row, f"no training row has the tag {unknown!r}")
        targets = tuple(float(self.labels.index(tag)) if self.labels else 0.0 for tag in token_tags)
        return [replace(piece, positions=positions, words=words, targets=targets)]

    def question(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int) -> EncoderRow:
        ids, token_words = _encode_words(row, tokenizer)
        padded.check_length(row, ids, window)
        first: dict[int, int] = {}
        for position, word in enumerate(token_words):
            if word is not None:
                first.setdefault(word, position)
        words = tuple(sorted(first))
        return EncoderRow(
            row.row_id, tuple(ids), (), tuple(first[word] for word in words), words=words, count=_word_count(row)
        )

    def _all_subwords(self, row: Row, tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Position and word of every token that belongs to a word."""
        tokens = enumerate(_encode_words(row, tokenizer)[1])
        pairs = [(position, word) for position, word in tokens if word is not None]
        return tuple(position for position, _ in pairs), tuple(word for _, word in pairs)

    def _inside_tag(self, tag: str) -> str:
        """The tag of a word's second and later tokens."""
        inside = f"I-{tag[2:]}"
        return inside if tag.startswith("B-") and inside in self.labels else tag

    def split(self, rows: Sequence[EncoderRow], tokens_per_pass: int, *, share: bool = False) -> list[list[EncoderRow]]:
        groups = padded.split_padded([len(row.ids) for row in rows], tokens_per_pass)
        return [[rows[at] for at in group] for group in groups]

    def pack(
        self, rows: Sequence[EncoderRow], device: torch.device, *, share: bool = False, whole: bool = False
    ) -> PaddedBatch:
        targets = torch.tensor([target for row in rows for target in row.targets], dtype=torch.int64)
        return padded.pad_rows(rows, targets, device)

    def loss(self, model: Any, batch: PaddedBatch, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Summed cross-entropy (nats) of the tagged tokens."""
        logits = padded.padded_logits(model, batch.ids, batch.mask)[
            batch.row_index, batch.position_index
        ]  # (S, labels)
        return cross_entropy(logits, batch.targets, reduction="sum", label_smoothing=label_smoothing)

    def computed(self, rows: Sequence[EncoderRow], *, share: bool) -> int:
        return padded.padded_tokens([len(row.ids) for row in rows])

    def read_back(self, piece: EncoderRow, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
        """The tokens, each tagged token followed by its tag."""
        parts: list[tuple[str, float]] = []
        last = 0
        for position, target in zip(piece.positions, piece.targets, strict=True):
            parts.append((str(tokenizer.decode(list(piece.ids[last : position + 1]))) + " ", 0.0))
            parts += [(self.labels[int(target)], 1.0), (" ", 0.0)]
            last = position + 1
        return [*parts, (str(tokenizer.decode(list(piece.ids[last:]))), 0.0)]

    def scores(self, logits: torch.Tensor) -> list[tuple[str, float]]:
        pairs = zip(self.labels, logits.softmax(dim=0).tolist(), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])

    def answer(self, row: EncoderRow, logits: torch.Tensor) -> str:
        tags = [OUTSIDE_TAG] * row.count
        for word, best in zip(row.words, logits.argmax(dim=-1).tolist(), strict=True):
            tags[word] = self.labels[best]
        return " ".join(tags)

    def check_model(self, model: Any, pieces: Sequence[EncoderRow], tokenizer: PreTrainedTokenizerBase) -> None:
        padded.check_padding(model, padded.shortest_and_longest(pieces), where="base")


def _word_count(row: Row) -> int:
    return len(row.example.tokens or ())


def _encode_words(row: Row, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int | None]]:
    """Token ids of the words joined by spaces, and the word number of each token; None for special tokens.

    Raises DataError for a row without words.
    """
    words = row.example.tokens
    if not words:
        raise row_error(row, "there are no words", "task: tag wants rows of tokens and tags, e.g. a .conll file")
    starts, ends, offset = [], [], 0  # characters
    for word in words:
        starts.append(offset)
        ends.append(offset + len(word))
        offset += len(word) + 1
    encoded = tokenizer(" ".join(words), return_offsets_mapping=True, split_special_tokens=True)
    token_words: list[int | None] = []
    word_number = 0
    for first, last in encoded["offset_mapping"]:
        # A token with its leading space may begin in the gap: it belongs to the word that it reaches into.
        while word_number < len(words) - 1 and last > ends[word_number] and last > starts[word_number + 1]:
            word_number += 1
        token_words.append(word_number if first < last and last > starts[word_number] else None)
    return list(encoded["input_ids"]), token_words


def tag_set(rows: Iterable[Row]) -> tuple[str, ...]:
    """The tags of the training rows, sorted."""
    return tuple(sorted({tag for row in rows for tag in row.example.tags or ()}))
