"""Count the tokens of rows for an encoder or encoder-decoder: from its tokenizer and config, without weights."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import torch
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase

from tunesmith.artifacts import Example, Row
from tunesmith.errors import DataError
from tunesmith.models.architecture import max_positions
from tunesmith.models.reader_protocol import TokenBound, TokenCounts
from tunesmith.models.task_support import Architecture
from tunesmith.models.tasks import Task, build_task, tokens_beyond_window
from tunesmith.recipe import TaskSettings

NO_TOKEN_LIMIT: Final = 2**31
PLACEHOLDER_ROW_ID: Final = "0" * 16
MAX_FRAME_TOKENS: Final = 8
"""More special tokens than any tokenizer adds around a text or a pair of texts."""

MAX_NORMALIZED_BYTES_PER_BYTE: Final = 11
"""UTF-8 bytes that one byte of a non-ASCII character can become by normalization; the most is under NFKC (Unicode Standard
Annex 15)."""


@dataclass(frozen=True)
class PlainReader:
    """A `Reader`. `tree` is the digest of the base's files."""

    name: str
    tree: str
    window: int
    task: TaskSettings
    architecture: Architecture
    tokenizer: PreTrainedTokenizerBase = field(repr=False, compare=False)

    @property
    def controls(self) -> tuple[str, ...]:
        """None: special tokens spelled out in a text are encoded as plain text."""
        return ()

    @property
    def cuts_texts(self) -> bool:
        return False

    def bound(self, shape: Example) -> TokenBound:
        """Each token covers at least one byte of the normalized text; a few special tokens are added."""
        parts = max(1, len(shape.messages), len(shape.tokens or ()))
        frame = MAX_FRAME_TOKENS + parts + len((self.task.instruction or "").encode()) * MAX_NORMALIZED_BYTES_PER_BYTE
        return TokenBound(frame, 1, 1 if self._has_no_normal_form else MAX_NORMALIZED_BYTES_PER_BYTE)

    def read(self, example: Example) -> TokenCounts:
        row = Row(row_id=PLACEHOLDER_ROW_ID, file="", line=1, example=example)
        try:
            pieces = self._task.encode(row, self.tokenizer, window=NO_TOKEN_LIMIT, objective="completion")
        except DataError as error:
            return TokenCounts(problem=error.what.removeprefix(f"row {PLACEHOLDER_ROW_ID}: "))
        if not all(piece.supervised for piece in pieces):
            return TokenCounts(problem="there is nothing to train on")
        beyond = [tokens_beyond_window(piece, self.window) for piece in pieces]
        return TokenCounts(
            tokens=max(max(piece.sides) for piece in pieces),
            lost=sum(tokens for tokens, _ in beyond),
            trained=sum(piece.supervised for piece in pieces),
            lost_trained=sum(trained for _, trained in beyond),
        )

    @cached_property
    def _task(self) -> Task:
        return build_task(self.task, self.architecture)

    @cached_property
    def _has_no_normal_form(self) -> bool:
        return json.loads(self.tokenizer.backend_tokenizer.to_str()).get("normalizer") is None


def max_positions_in_folder(folder: Path, tokenizer: PreTrainedTokenizerBase) -> int:
    """`architecture.max_positions` from a folder's config, without weights."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        model = AutoModel.from_config(config, trust_remote_code=False)
    return max_positions(model, tokenizer)
