"""How an encoder, or an encoder-decoder, reads rows: its tokenizer and context, without weights and without a chat template."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from tunesmith import process
from tunesmith.artifacts import Example, Row
from tunesmith.errors import DataError
from tunesmith.models.architecture import positions_of
from tunesmith.models.reading import Bound, Reading
from tunesmith.models.shapes import Architecture
from tunesmith.models.tasks import Task, beyond, build_task
from tunesmith.recipe import TaskSettings

process.prepare()

import torch  # noqa: E402
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerBase  # noqa: E402

ENDLESS: Final = 2**31
ROW_ID: Final = "0" * 16
FRAME: Final = 8
"""More tokens than any tokenizer puts around a text or a pair of them."""

GROWTH: Final = 11
"""UTF-8 bytes that a byte beyond ASCII can become in a normal form: NFKC at most (Unicode Standard Annex 15, UAX FAQ)."""


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
        """None: a special token that a text spells is read as letters."""
        return ()

    @property
    def cuts_texts(self) -> bool:
        return False

    def bound(self, shape: Example) -> Bound:
        """Every token stands for a byte or more of the text in its normal form, and a few stand around it."""
        parts = max(1, len(shape.messages), len(shape.tokens or ()))
        frame = FRAME + parts + len((self.task.instruction or "").encode()) * GROWTH
        return Bound(frame, 1, 1 if self._has_no_normal_form else GROWTH)

    def read(self, example: Example) -> Reading:
        row = Row(row_id=ROW_ID, file="", line=1, example=example)
        try:
            pieces = self._task.encode(row, self.tokenizer, window=ENDLESS, objective="completion")
        except DataError as error:
            return Reading(problem=error.what.removeprefix(f"row {ROW_ID}: "))
        if not all(piece.supervised for piece in pieces):
            return Reading(problem="there is nothing to train on")
        lost = [beyond(piece, self.window) for piece in pieces]
        return Reading(
            tokens=max(max(piece.sides) for piece in pieces),
            lost=sum(tokens for tokens, _ in lost),
            trained=sum(piece.supervised for piece in pieces),
            lost_trained=sum(trained for _, trained in lost),
        )

    @cached_property
    def _task(self) -> Task:
        return build_task(self.task, self.architecture)

    @cached_property
    def _has_no_normal_form(self) -> bool:
        return json.loads(self.tokenizer.backend_tokenizer.to_str()).get("normalizer") is None


def positions_in(folder: Path, tokenizer: PreTrainedTokenizerBase) -> int:
    """As `positions_of`, from a folder's config alone."""
    config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        model = AutoModel.from_config(config, trust_remote_code=False)
    return positions_of(model, tokenizer)
