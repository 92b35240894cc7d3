"""A conversation with a loaded release in this process: what `tunesmith chat` reads and writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from jinja2.exceptions import TemplateError

from tunesmith.artifacts import Example, Message, Row, message
from tunesmith.chat.encode import prompt_ids
from tunesmith.errors import DataError
from tunesmith.serve.answer import AnswerRequest, stream_answer
from tunesmith.serve.loaded_release import AnyRelease, DecoderRelease, EncoderRelease, Seq2SeqRelease
from tunesmith.serve.seq2seq import SamplingOptions, stream_target

MAX_SHOWN_LABELS: Final = 3
NEW_CONVERSATION_HINT: Final = "/new begins another conversation"


@dataclass
class ChatSession:
    """Turns so far with a release. A classifier and a model that turns sources into targets have no
    conversation: every text is answered by itself."""

    release: AnyRelease
    max_new_tokens: int
    temperature: float = 0.0
    seed: int = 0
    turns: list[Message] = field(default_factory=list)

    def say(self, text: str) -> Iterator[str]:
        """The answer to the next message, piece by piece; it is kept once it is whole.

        Raises DataError when the message does not fit the context, or spells a control token of the template.
        """
        if isinstance(self.release, EncoderRelease):
            with _message_errors():
                yield _labels_line(self.release, text)
            return
        if isinstance(self.release, Seq2SeqRelease):
            yield from self._written(self.release, text)
            return
        said: list[str] = []
        asked = message("user", text)
        for piece in stream_answer(self.release, self._ask(self.release, (*self.turns, asked))):
            said.append(piece.text)
            yield piece.text
        if not self.release.options:
            self.turns += [asked, message("assistant", "".join(said))]

    def _written(self, release: Seq2SeqRelease, text: str) -> Iterator[str]:
        """The target of one source; nothing is kept."""
        row = Row(row_id="0", file="input", line=1, example=Example(text=text))
        with _message_errors():
            source = release.task.question(row, release.model.tokenizer, window=release.model.context).source
        for piece in stream_target(
            release, source, SamplingOptions(self.max_new_tokens, self.temperature, seed=self.seed)
        ):
            yield piece.text

    def forget(self) -> None:
        """Begin another conversation."""
        self.turns.clear()

    def _ask(self, release: DecoderRelease, turns: tuple[Message, ...]) -> AnswerRequest:
        try:
            prompt = prompt_ids(release.model.tokenizer, release.conversation(turns))
        except TemplateError as error:
            raise DataError(
                f"the chat template refuses this conversation: {error}", hint=NEW_CONVERSATION_HINT
            ) from error
        room = release.model.context - len(prompt)
        if room < max(map(len, release.options), default=1):
            raise DataError(
                f"that makes {len(prompt)} tokens; the context holds {release.model.context}",
                hint=NEW_CONVERSATION_HINT,
            )
        return AnswerRequest(tuple(prompt), min(room, self.max_new_tokens), self.temperature, 1.0, self.seed, ())


@contextmanager
def _message_errors() -> Iterator[None]:
    """What a task says of a row of a file, said of a message."""
    try:
        yield
    except DataError as error:
        raise DataError(error.what.replace("row 0", "the message", 1)) from error


def _labels_line(release: EncoderRelease, text: str) -> str:
    """In one line: the answer and the likeliest labels with their probabilities, or every word with its tag."""
    words = tuple(text.split()) if release.task.head.kind == "token" else None
    row = Row(row_id="0", file="input", line=1, example=Example(text=text, tokens=words))
    asked = release.task.question(row, release.model.tokenizer, window=release.model.context)
    (logits,) = release.model.logits([asked])
    if words is not None:
        found = release.task.answer(asked, logits).split(" ")
        return " ".join(f"{word}/{tag}" for word, tag in zip(words, found, strict=True))
    scores = ", ".join(f"{label} {score:.3f}" for label, score in release.task.scores(logits)[:MAX_SHOWN_LABELS])
    return f"{release.task.answer(asked, logits)}  ({scores})"
