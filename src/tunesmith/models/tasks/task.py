"""Chat, classify and text: three ways to read the same rows."""

from collections.abc import Iterable
from dataclasses import dataclass

from tunesmith import process
from tunesmith.artifacts import Message, Row, message
from tunesmith.data.chat import Encoded, encode_chat, encode_text, encode_whole, with_instruction
from tunesmith.errors import DataError
from tunesmith.recipe import TaskSettings

process.prepare()

from transformers import PreTrainedTokenizerBase  # noqa: E402


@dataclass(frozen=True)
class Task:
    """What the model is for. Rows are read the same way in training, evaluation and serving."""

    settings: TaskSettings

    def messages(self, row: Row) -> tuple[Message, ...]:
        """The whole conversation of a row, with the task's instruction and the answer."""
        example = row.example
        if example.messages:
            return with_instruction(example.messages, self.settings.instruction)
        turns = (message("user", example.text or ""), message("assistant", example.completion))
        return with_instruction(turns, self.settings.instruction)

    def prompt(self, row: Row) -> tuple[Message, ...]:
        """What the model is asked."""
        turns = self.messages(row)
        return turns[:-1] if turns and turns[-1].role == "assistant" else turns

    def expected(self, row: Row) -> str:
        """What the row says the answer is."""
        return row.example.completion

    def encode(self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str) -> list[Encoded]:
        """Tokens and trained spans: windows of a plain text; one sequence of a conversation, or one per answer where the
        chat template rewrites earlier turns.

        Raises DataError with the row's id for whatever cannot be trained, and for a conversation longer than `window`.
        """
        if self.settings.type == "text" and not row.example.messages:
            return encode_text(tokenizer, row, row.example.text or "", window=window)
        messages = self.messages(row)
        whole = objective == "all-tokens"
        pieces = [encode_whole(tokenizer, row, messages)] if whole else encode_chat(tokenizer, row, messages)
        longest = max(len(piece.ids) for piece in pieces)
        if longest > window:
            raise DataError(
                f"row {row.row_id} has {longest} tokens; the context holds {window}",
                where=f"{row.file}:{row.line}",
                hint="shorten the row, raise train.max_tokens, or drop it in the audit",
            )
        return pieces


def build_task(settings: TaskSettings) -> Task:
    """The task of a recipe."""
    return Task(settings)


def label_set(rows: Iterable[Row]) -> tuple[str, ...]:
    """The labels of the training rows, sorted: what `classify` may answer."""
    return tuple(sorted({row.example.completion for row in rows}))
