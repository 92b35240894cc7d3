"""Count the tokens of rows as a base reads them: from its tokenizer, chat template and config, without weights."""

import json
from dataclasses import dataclass, field
from functools import cached_property, reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from jinja2.exceptions import TemplateError
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from tunesmith.artifacts import Example, Row, Text
from tunesmith.chat.encode import control_tokens, render_conversation
from tunesmith.context import Context
from tunesmith.errors import DataError
from tunesmith.models.architecture import architecture_of
from tunesmith.models.bases.prepare import prepare_base
from tunesmith.models.loading import context_length, open_tokenizer
from tunesmith.models.plain_reader import PlainReader, max_positions_in_folder
from tunesmith.models.reader_protocol import Reader, TokenBound, TokenCounts
from tunesmith.models.tasks import DecoderTask, build_task_with_labels
from tunesmith.recipe import BaseSettings, NewBase, TaskSettings, TrainSettings

NO_TOKEN_LIMIT: Final = 2**31
PLACEHOLDER_ROW_ID: Final = "0" * 16
MAX_NORMALIZED_BYTES_PER_BYTE: Final = 11
"""UTF-8 bytes that one byte of a non-ASCII character can become by normalization; the most is under NFKC (Unicode Standard
Annex 15)."""

TEXT_PLACEHOLDER: Final = "qvxz{}zxvq"
"""Replaces the text of each message, by number, when the template is rendered for a bound."""


@dataclass(frozen=True)
class BaseReader:
    """A `Reader`. `tree` is the digest of the base's files."""

    name: str
    tree: str
    window: int
    task: TaskSettings
    objective: str
    tokenizer: PreTrainedTokenizerBase = field(repr=False, compare=False)

    @property
    def controls(self) -> tuple[str, ...]:
        return control_tokens(self.tokenizer)

    @property
    def cuts_texts(self) -> bool:
        return self.task.type == "text"

    def bound(self, shape: Example) -> TokenBound:
        """Each token covers at least one byte of the normalized text.

        The template is assumed to repeat a message as often as it repeats a placeholder in its place.
        """
        words = [TEXT_PLACEHOLDER.format(number) for number in range(len(shape.messages))]
        pairs = zip(shape.messages, words, strict=True)
        turns = tuple(turn.model_copy(update={"content": (Text(text=word),)}) for turn, word in pairs)
        try:
            messages = self._task.messages(_row_of_example(shape.model_copy(update={"messages": turns})))
            text = render_conversation(self.tokenizer, messages, add_generation_prompt=False, tools=shape.tools)
        except TemplateError as error:
            roles = ", ".join(turn.role for turn in turns)
            raise DataError(f"the chat template refuses the roles {roles}: {error}") from error
        times = max((text.count(word) for word in words), default=1)
        frame = reduce(lambda left, word: left.replace(word, ""), words, self._shortened(text))
        return TokenBound(weighted_bytes(frame, MAX_NORMALIZED_BYTES_PER_BYTE) + 2, max(1, times), self._growth)

    def _shortened(self, text: str) -> str:
        """The text with each special token, which is one token, replaced by one character."""
        special = {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        return reduce(lambda left, name: left.replace(name, "."), sorted(special, key=len, reverse=True), text)

    def read(self, example: Example) -> TokenCounts:
        try:
            pieces = self._task.encode(
                _row_of_example(example), self.tokenizer, window=NO_TOKEN_LIMIT, objective=self.objective
            )
        except DataError as error:
            return TokenCounts(problem=error.what.removeprefix(f"row {PLACEHOLDER_ROW_ID}: "))
        if not all(piece.supervised for piece in pieces):
            return TokenCounts(problem="there is no token to train on")
        spans = [span for piece in pieces for span in piece.spans]
        return TokenCounts(
            tokens=max(len(piece.ids) for piece in pieces),
            lost=sum(max(0, len(piece.ids) - self.window) for piece in pieces),
            trained=sum(piece.supervised for piece in pieces),
            lost_trained=sum(max(0, end - max(start, self.window)) for start, end in spans),
        )

    @cached_property
    def _task(self) -> DecoderTask:
        return DecoderTask(self.task)

    @cached_property
    def _growth(self) -> int:
        """Bytes that a non-ASCII byte can become: 1 without a normalizer."""
        state = json.loads(self.tokenizer.backend_tokenizer.to_str())
        return 1 if state.get("normalizer") is None else MAX_NORMALIZED_BYTES_PER_BYTE


def open_reader(base: BaseSettings, task: TaskSettings, context: Context, *, train: TrainSettings) -> Reader | None:
    """The reader of a recipe's base; None for a new base, whose tokenizer is trained on the audited rows.

    Raises RecipeError if the base does not exist, lacks a chat template that the task needs, or does not support the task.
    """
    if isinstance(base, NewBase):
        return None
    model = prepare_base(base, task, context, train=train)
    folder = context.store.checkout(model.tree)
    architecture = architecture_of(folder)
    build_task_with_labels(task, architecture, ())
    if architecture != "decoder":
        tokenizer = open_tokenizer(folder)
        limit = max_positions_in_folder(folder, tokenizer)
        return PlainReader(model.name, model.tree, min(train.max_tokens or limit, limit), task, architecture, tokenizer)
    tokenizer, positions = _load_tokenizer_and_context(folder)
    window = min(train.max_tokens or positions, positions)
    return BaseReader(model.name, model.tree, window, task, train.objective, tokenizer)


def weighted_bytes(text: str, beyond: int) -> int:
    """UTF-8 bytes of a text, with non-ASCII characters counted `beyond` times."""
    size = len(text.encode())
    ascii_bytes = sum(map(str.isascii, text))
    return ascii_bytes + beyond * (size - ascii_bytes)


def _load_tokenizer_and_context(folder: Path) -> tuple[PreTrainedTokenizerBase, int]:
    """The tokenizer of a folder and the number of positions of its model."""
    if not (folder / "tokenizer.json").is_file():
        raise DataError(
            "no tokenizer.json",
            where=str(folder),
            hint="save it as a fast tokenizer of transformers",
        )
    options = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
        config = AutoConfig.from_pretrained(str(folder), **options)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"the base's tokenizer cannot be loaded: {error}", where=str(folder)) from error
    return tokenizer, context_length(SimpleNamespace(config=config))


def _row_of_example(example: Example) -> Row:
    return Row(row_id=PLACEHOLDER_ROW_ID, file="", line=1, example=example)
