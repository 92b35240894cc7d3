"""Tag on an encoder: a head over every token gives each word of a row its tag."""

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
"""The tag of a word that the tokenizer leaves nothing of."""


@dataclass(frozen=True)
class TagTask:
    """`labels` are the tags of the training rows, sorted; none where rows are only to be measured.

    A word's tag is read at its first token. With `subwords: all` its other tokens are trained too: to the tag, or to I-x
    behind B-x.
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
        """The tags with a space between."""
        return row.example.completion

    def encode(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str) -> list[EncoderRow]:
        tags = row.example.tags
        if tags is None:
            raise row_error(row, "there are no tags", "task: tag wants rows of tokens and tags, e.g. a .conll file")
        piece = self.question(row, tokenizer, window=window)
        places, words = self._every(row, tokenizer) if self.settings.subwords == "all" else (piece.places, piece.words)
        named, seen = [], set()
        for word in words:
            named.append(self._within(tags[word]) if word in seen else tags[word])
            seen.add(word)
        if self.labels and (unknown := next((tag for tag in named if tag not in self.labels), None)):
            raise row_error(row, f"no training row has the tag {unknown!r}")
        targets = tuple(float(self.labels.index(tag)) if self.labels else 0.0 for tag in named)
        return [replace(piece, places=places, words=words, targets=targets)]

    def question(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int) -> EncoderRow:
        ids, owners = _encode_words(row, tokenizer)
        padded.check_length(row, ids, window)
        first: dict[int, int] = {}
        for place, word in enumerate(owners):
            if word is not None:
                first.setdefault(word, place)
        words = tuple(sorted(first))
        return EncoderRow(
            row.row_id, tuple(ids), (), tuple(first[word] for word in words), words=words, count=_word_count(row)
        )

    def _every(self, row: Row, tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Every token that belongs to a word, and its word."""
        pairs = [(place, word) for place, word in enumerate(_encode_words(row, tokenizer)[1]) if word is not None]
        return tuple(place for place, _ in pairs), tuple(word for _, word in pairs)

    def _within(self, tag: str) -> str:
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
        """Sum over the tagged tokens of the cross-entropy."""
        logits = padded.padded_logits(model, batch.ids, batch.mask)[batch.lines, batch.columns]
        return cross_entropy(logits, batch.targets, reduction="sum", label_smoothing=label_smoothing)

    def computed(self, rows: Sequence[EncoderRow], *, share: bool) -> int:
        return padded.padded_tokens([len(row.ids) for row in rows])

    def read_back(self, piece: EncoderRow, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
        """The tokens, each tagged one followed by its tag."""
        found: list[tuple[str, float]] = []
        last = 0
        for place, target in zip(piece.places, piece.targets, strict=True):
            found.append((str(tokenizer.decode(list(piece.ids[last : place + 1]))) + " ", 0.0))
            found += [(self.labels[int(target)], 1.0), (" ", 0.0)]
            last = place + 1
        return [*found, (str(tokenizer.decode(list(piece.ids[last:]))), 0.0)]

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
    """Ids of the words with a space between, and for each id the number of its word; None for those around the text.

    Raises DataError for a row without words.
    """
    words = row.example.tokens
    if not words:
        raise row_error(row, "there are no words", "task: tag wants rows of tokens and tags, e.g. a .conll file")
    starts, ends, at = [], [], 0
    for word in words:
        starts.append(at)
        ends.append(at + len(word))
        at += len(word) + 1
    made = tokenizer(" ".join(words), return_offsets_mapping=True, split_special_tokens=True)
    owners: list[int | None] = []
    here = 0
    for first, last in made["offset_mapping"]:
        while here < len(words) - 1 and last > ends[here] and last > starts[here + 1]:
            here += 1
        owners.append(here if first < last and last > starts[here] else None)
    return list(made["input_ids"]), owners


def tag_set(rows: Iterable[Row]) -> tuple[str, ...]:
    """The tags of the training rows, sorted."""
    return tuple(sorted({tag for row in rows for tag in row.example.tags or ()}))
