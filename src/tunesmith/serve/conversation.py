"""A conversation with a loaded release in this process: what `tunesmith chat` reads and writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from jinja2.exceptions import TemplateError

from tunesmith import process
from tunesmith.artifacts import Example, Message, Row, message
from tunesmith.data.chat import prompt_ids
from tunesmith.errors import DataError
from tunesmith.serve.answer import Ask, answer
from tunesmith.serve.released import AnyRelease, Released, ReleasedEncoder, ReleasedSeq2Seq
from tunesmith.serve.writing import Sampled, write

process.prepare()

SHOWN_LABELS: Final = 3
AGAIN: Final = "/new begins another conversation"


@dataclass
class Conversation:
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
        if isinstance(self.release, ReleasedEncoder):
            with _said():
                yield _labels(self.release, text)
            return
        if isinstance(self.release, ReleasedSeq2Seq):
            yield from self._written(self.release, text)
            return
        said: list[str] = []
        asked = message("user", text)
        for piece in answer(self.release, self._ask(self.release, (*self.turns, asked))):
            said.append(piece.text)
            yield piece.text
        if not self.release.options:
            self.turns += [asked, message("assistant", "".join(said))]

    def _written(self, release: ReleasedSeq2Seq, text: str) -> Iterator[str]:
        """The target of one source; nothing is kept."""
        row = Row(row_id="0", file="input", line=1, example=Example(text=text))
        with _said():
            source = release.task.question(row, release.model.tokenizer, window=release.model.context).source
        for piece in write(release, source, Sampled(self.max_new_tokens, self.temperature, seed=self.seed)):
            yield piece.text

    def forget(self) -> None:
        """Begin another conversation."""
        self.turns.clear()

    def _ask(self, release: Released, turns: tuple[Message, ...]) -> Ask:
        try:
            prompt = prompt_ids(release.model.tokenizer, release.conversation(turns))
        except TemplateError as error:
            raise DataError(f"the chat template refuses this conversation: {error}", hint=AGAIN) from error
        room = release.model.context - len(prompt)
        if room < max(map(len, release.options), default=1):
            raise DataError(f"that makes {len(prompt)} tokens; the context holds {release.model.context}", hint=AGAIN)
        return Ask(tuple(prompt), min(room, self.max_new_tokens), self.temperature, 1.0, self.seed, ())


@contextmanager
def _said() -> Iterator[None]:
    """What a task says of a row of a file, said of a message."""
    try:
        yield
    except DataError as error:
        raise DataError(error.what.replace("row 0", "the message", 1)) from error


def _labels(release: ReleasedEncoder, text: str) -> str:
    """In one line: the answer and the likeliest labels with their probabilities, or every word with its tag."""
    words = tuple(text.split()) if release.task.head.kind == "token" else None
    row = Row(row_id="0", file="input", line=1, example=Example(text=text, tokens=words))
    asked = release.task.question(row, release.model.tokenizer, window=release.model.context)
    (logits,) = release.model.logits([asked])
    if words is not None:
        found = release.task.answer(asked, logits).split(" ")
        return " ".join(f"{word}/{tag}" for word, tag in zip(words, found, strict=True))
    scores = ", ".join(f"{label} {score:.3f}" for label, score in release.task.scores(logits)[:SHOWN_LABELS])
    return f"{release.task.answer(asked, logits)}  ({scores})"
