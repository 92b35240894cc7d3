"""A chat session with a loaded release in this process, for `tunesmith chat`."""

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
NEW_CONVERSATION_HINT: Final = "/new starts a new conversation"


@dataclass
class ChatSession:
    """The turns so far with a release. Classifiers, taggers and encoder-decoders keep no turns: each text is answered
    independently."""

    release: AnyRelease
    max_new_tokens: int
    temperature: float = 0.0
    seed: int = 0
    turns: list[Message] = field(default_factory=list)

    def say(self, text: str) -> Iterator[str]:
        """Yield the answer to the next message in chunks. The turn is kept once the answer is complete.

        Raises DataError if the message does not fit the context or contains a control token of the template.
        """
        if isinstance(self.release, EncoderRelease):
            with _message_errors():
                yield _labels_line(self.release, text)
            return
        if isinstance(self.release, Seq2SeqRelease):
            yield from self._target(self.release, text)
            return
        texts: list[str] = []
        question = message("user", text)
        for chunk in stream_answer(self.release, self._answer_request(self.release, (*self.turns, question))):
            texts.append(chunk.text)
            yield chunk.text
        if not self.release.options:
            self.turns += [question, message("assistant", "".join(texts))]

    def _target(self, release: Seq2SeqRelease, text: str) -> Iterator[str]:
        """Yield the target of one source in chunks."""
        row = Row(row_id="0", file="input", line=1, example=Example(text=text))
        with _message_errors():
            source = release.task.question(row, release.model.tokenizer, window=release.model.context).source
        options = SamplingOptions(self.max_new_tokens, self.temperature, seed=self.seed)
        for chunk in stream_target(release, source, options):
            yield chunk.text

    def forget(self) -> None:
        """Drop all turns and start a new conversation."""
        self.turns.clear()

    def _answer_request(self, release: DecoderRelease, turns: tuple[Message, ...]) -> AnswerRequest:
        try:
            prompt = prompt_ids(release.model.tokenizer, release.conversation(turns))
        except TemplateError as error:
            raise DataError(
                f"the chat template rejects this conversation: {error}", hint=NEW_CONVERSATION_HINT
            ) from error
        remaining = release.model.context - len(prompt)
        if remaining < max(map(len, release.options), default=1):
            raise DataError(
                f"the conversation has {len(prompt)} tokens; the context holds {release.model.context}, answer included",
                hint=NEW_CONVERSATION_HINT,
            )
        return AnswerRequest(tuple(prompt), min(remaining, self.max_new_tokens), self.temperature, 1.0, self.seed, ())


@contextmanager
def _message_errors() -> Iterator[None]:
    """Reword errors about a row of a file as errors about the message."""
    try:
        yield
    except DataError as error:
        raise DataError(error.what.replace("row 0", "the message", 1)) from error


def _labels_line(release: EncoderRelease, text: str) -> str:
    """One line: the answer and the most likely labels with their probabilities, or every word with its tag."""
    words = tuple(text.split()) if release.task.head.kind == "token" else None
    row = Row(row_id="0", file="input", line=1, example=Example(text=text, tokens=words))
    encoded = release.task.question(row, release.model.tokenizer, window=release.model.context)
    (logits,) = release.model.logits([encoded])
    if words is not None:
        tags = release.task.answer(encoded, logits).split(" ")
        return " ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True))
    scores = ", ".join(f"{label} {score:.3f}" for label, score in release.task.scores(logits)[:MAX_SHOWN_LABELS])
    return f"{release.task.answer(encoded, logits)}  ({scores})"
