"""Chat, classify and text on a decoder. Labels of classify are answers, chosen by their likelihood."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from tunesmith.artifacts import Message, Row, message
from tunesmith.chat.encode import EncodedSequence, encode_all_tokens, encode_chat, encode_text, with_instruction
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.packed import check_packable
from tunesmith.models.tasks.batching import PackedBatching
from tunesmith.recipe import TaskSettings, TrainSettings
from tunesmith.text.reasoning import answer_without_reasoning


@dataclass(frozen=True)
class DecoderTask(PackedBatching):
    """The answer is text that the model generates after the prompt. `labels`: the possible answers of classify, sorted."""

    settings: TaskSettings
    labels: tuple[str, ...] = ()
    head: None = None

    def check(self, settings: TrainSettings) -> None:
        if self.settings.labels != "single":
            what = f"labels: {self.settings.labels} needs an encoder base; a decoder answers with one label"
            raise RecipeError(what, where="task.labels", hint="use an encoder, e.g. `base: all-minilm-l6-v2`")
        for name, value in (
            ("base_dropout", settings.base_dropout),
            ("head_learning_rate", settings.head_learning_rate),
        ):
            if value:
                hint = f"remove train.{name}"
                raise RecipeError(
                    "this setting needs an encoder or encoder-decoder base", where=f"train.{name}", hint=hint
                )

    def messages(self, row: Row) -> tuple[Message, ...]:
        """The conversation of a row, with the task's instruction and the answer."""
        example = row.example
        if example.messages:
            return with_instruction(example.messages, self.settings.instruction)
        turns = (message("user", example.text or ""), message("assistant", example.completion))
        return with_instruction(turns, self.settings.instruction)

    def prompt(self, row: Row) -> tuple[Message, ...]:
        """The conversation up to the answer."""
        turns = self.messages(row)
        return turns[:-1] if turns and turns[-1].role == "assistant" else turns

    def expected(self, row: Row) -> str:
        """The answer without reasoning, which is trained but not scored."""
        return answer_without_reasoning(row.example.completion)

    def encode(
        self, row: Row, tokenizer: PreTrainedTokenizerBase, *, window: int, objective: str
    ) -> list[EncodedSequence]:
        """Encode a plain text as windows, a conversation as one sequence, or as one per answer if the chat template rewrites
        earlier turns.

        Raises DataError with the row's id if it cannot be trained on, or a conversation has more than `window` tokens.
        """
        if self.settings.type == "text" and not row.example.messages:
            return encode_text(tokenizer, row, row.example.text or "", window=window)
        messages = self.messages(row)
        whole = objective == "all-tokens"
        pieces = [encode_all_tokens(tokenizer, row, messages)] if whole else encode_chat(tokenizer, row, messages)
        longest = max(len(piece.ids) for piece in pieces)
        if longest > window:
            raise DataError(
                f"row {row.row_id} has {longest} tokens; the context holds {window}",
                where=f"{row.file}:{row.line}",
                hint="shorten the row, raise train.max_tokens, or drop it in the audit",
            )
        return pieces

    def read_back(self, piece: EncodedSequence, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, float]]:
        parts: list[tuple[Sequence[int], float]] = []
        last = 0
        for (start, end), weight in zip(piece.spans, piece.weights or (1.0,) * len(piece.spans), strict=True):
            first = max(start, 1)  # the first token is never trained: nothing precedes it
            parts += [(piece.ids[last:first], 0.0), (piece.ids[first:end], weight)]
            last = end
        parts.append((piece.ids[last:], 0.0))
        return [(str(tokenizer.decode(list(ids))), weight) for ids, weight in parts if ids]

    def check_model(self, model: Any, pieces: Sequence[EncodedSequence], tokenizer: PreTrainedTokenizerBase) -> None:
        check_packable(model, tokenizer)
