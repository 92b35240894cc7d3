"""How a base reads rows: its tokenizer, template and context, without its weights."""

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
"""UTF-8 bytes that a byte beyond ASCII can become in a normal form: NFKC at most (Unicode Standard Annex 15, UAX FAQ)."""

TEXT_PLACEHOLDER: Final = "qvxz{}zxvq"
"""Stands for a message's text, numbered, where a template is tried."""


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
        """Every token stands for a byte or more, once the tokenizer has brought the text into its normal form.

        The template is taken to write a message as often as it writes a word in its place.
        """
        words = [TEXT_PLACEHOLDER.format(number) for number in range(len(shape.messages))]
        said = zip(shape.messages, words, strict=True)
        turns = tuple(turn.model_copy(update={"content": (Text(text=word),)}) for turn, word in said)
        try:
            spoken = self._task.messages(_row_of_example(shape.model_copy(update={"messages": turns})))
            text = render_conversation(self.tokenizer, spoken, add_generation_prompt=False, tools=shape.tools)
        except TemplateError as error:
            roles = ", ".join(turn.role for turn in turns)
            raise DataError(f"the chat template refuses the roles {roles}: {error}") from error
        times = max((text.count(word) for word in words), default=1)
        frame = reduce(lambda left, word: left.replace(word, ""), words, self._shortened(text))
        return TokenBound(weighted_bytes(frame, MAX_NORMALIZED_BYTES_PER_BYTE) + 2, max(1, times), self._growth)

    def _shortened(self, text: str) -> str:
        """The text with one character for each special token, which is one token."""
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
        """A tokenizer without a normal form, or whose form only marks spaces, adds no bytes that are not one token."""
        made = json.loads(self.tokenizer.backend_tokenizer.to_str())
        return 1 if made.get("normalizer") is None else MAX_NORMALIZED_BYTES_PER_BYTE


def open_reader(base: BaseSettings, task: TaskSettings, context: Context, *, train: TrainSettings) -> Reader | None:
    """The reader of a recipe's base; None for a base from nothing, whose tokenizer is trained on what the audit leaves.

    Raises RecipeError when the base is not there, has no chat template and needs one, or has not the shape of the task.
    """
    if isinstance(base, NewBase):
        return None
    model = prepare_base(base, task, context, train=train)
    folder = context.store.checkout(model.tree)
    shape = architecture_of(folder)
    build_task_with_labels(task, shape, ())
    if shape != "decoder":
        plain = open_tokenizer(folder)
        limit = max_positions_in_folder(folder, plain)
        return PlainReader(model.name, model.tree, min(train.max_tokens or limit, limit), task, shape, plain)
    tokenizer, positions = _load_tokenizer_and_context(folder)
    window = min(train.max_tokens or positions, positions)
    return BaseReader(model.name, model.tree, window, task, train.objective, tokenizer)


def weighted_bytes(text: str, beyond: int) -> int:
    """Bytes of a text, those beyond ASCII counted `beyond` times."""
    size = len(text.encode())
    plain = sum(map(str.isascii, text))
    return plain + beyond * (size - plain)


def _load_tokenizer_and_context(folder: Path) -> tuple[PreTrainedTokenizerBase, int]:
    """The tokenizer of a folder and how many positions its model has."""
    if not (folder / "tokenizer.json").is_file():
        raise DataError("no tokenizer.json", where=str(folder), hint="save the tokenizer in its fast form")
    options = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
        config = AutoConfig.from_pretrained(str(folder), **options)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"the base's tokenizer cannot be loaded: {error}", where=str(folder)) from error
    return tokenizer, context_length(SimpleNamespace(config=config))


def _row_of_example(example: Example) -> Row:
    return Row(row_id=PLACEHOLDER_ROW_ID, file="", line=1, example=example)
