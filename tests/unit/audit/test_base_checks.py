"""What the base says of rows: too long, or not to be trained; with a reader that is scripted, and with the embedded base."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tunesmith.artifacts import Example, Role, Row, message
from tunesmith.audit.checks.chat_template import ChatTemplate
from tunesmith.audit.checks.over_long import OverLong
from tunesmith.audit.columns import corpus_of
from tunesmith.audit.corpus import Corpus
from tunesmith.context import Context
from tunesmith.errors import DataError
from tunesmith.models.bases import EMBEDDED
from tunesmith.models.reader import open_reader
from tunesmith.models.reading import Bound, Reading, Turns
from tunesmith.recipe import TaskSettings


@dataclass(frozen=True)
class Scripted:
    """Counts letters as tokens; refuses the role tool, and texts that say so. Remembers what it was asked to read."""

    name: str = "scripted"
    window: int = 20
    controls: tuple[str, ...] = ("<turn>",)
    cuts_texts: bool = False
    asked: list[str] = field(default_factory=list, compare=False)

    def bound(self, roles: Sequence[Role]) -> Bound:
        if "tool" in roles:
            raise DataError("no tools")
        return Bound(1, 1, 1)

    def read(self, turns: Turns) -> Reading:
        text = "".join(text for _, text in turns)
        self.asked.append(text)
        if "tool" in (role for role, _ in turns):
            return Reading(problem="the chat template refuses the conversation: no tools")
        if "drop" in text:
            return Reading(problem="the chat template leaves out a part of the answer")
        trained = len(turns[-1][1])
        lost = max(0, len(text) - self.window)
        return Reading(len(text), lost, trained, min(trained, lost))


def corpus(*rows: Sequence[tuple[Role, str]]) -> Corpus:
    return corpus_of(
        [
            Row(
                row_id=f"{number:016x}",
                file="a.jsonl",
                line=number + 1,
                example=Example(messages=tuple(message(role, text) for role, text in turns)),
            )
            for number, turns in enumerate(rows)
        ],
        [],
    )


def chat(asked: str, said: str) -> list[tuple[Role, str]]:
    return [("user", asked), ("assistant", said)]


def test_only_rows_with_enough_bytes_are_read_and_the_losses_are_told() -> None:
    reader = Scripted()
    rows = corpus(chat("a" * 10, "b" * 9), chat("a" * 10, "b" * 10), chat("a" * 15, "b" * 10), chat("a" * 30, "b"))
    found = OverLong(reader=reader).examine(rows)
    assert [len(text) for text in reader.asked] == [20, 25, 31]
    assert [(one.place.line, one.severity, one.reason) for one in found] == [
        (3, "error", "25 tokens, 5 behind the 20 that scripted is given; 5 of its 10 trained tokens would be lost"),
        (4, "error", "31 tokens, 11 behind the 20 that scripted is given; 1 of its 1 trained tokens would be lost"),
    ]


def test_roles_that_the_template_refuses_are_the_other_checks_business() -> None:
    rows = corpus([*chat("a" * 30, "b"), ("tool", "c")], chat("a", "b"))
    assert OverLong(reader=Scripted()).examine(rows) == []
    found = ChatTemplate(reader=Scripted()).examine(rows)
    assert [(one.place.line, one.reason) for one in found] == [
        (1, "user, assistant, tool: the chat template refuses the conversation: no tools")
    ]


def test_without_a_base_nothing_is_said_of_tokens() -> None:
    assert OverLong().examine(corpus(chat("a" * 9999, "b"))) == []


def test_a_sort_is_read_whole_once_one_of_its_sample_fails() -> None:
    """Plain rows: every fifth is looked at. Rows that begin in white space are a sort of their own."""
    plain = [chat(f"a{number}", "drop" if number in (5, 7) else "b") for number in range(10)]
    tricky = [chat(f" a{number}", "drop" if number == 3 else "b") for number in range(10)]
    found = ChatTemplate(sample=2, reader=Scripted()).examine(corpus(*plain, *tricky))
    assert [one.place.line for one in found] == [6, 8]
    everything = ChatTemplate(sample=10, reader=Scripted()).examine(corpus(*plain, *tricky))
    assert [one.place.line for one in everything] == [6, 8, 14]


def test_a_marker_of_the_base_is_told_once_and_is_not_read() -> None:
    reader = Scripted()
    (found,) = ChatTemplate(reader=reader).examine(corpus(chat("a <turn> b", "drop"), chat("c", "d")))
    assert found.reason == "a message spells <turn>, a marker of a chat template"
    assert [(span.message, span.start, span.end) for span in found.spans] == [(0, 2, 8)]
    assert "a <turn> bdrop" not in reader.asked
    assert ChatTemplate().examine(corpus(chat("a <turn> b", "c"))) == []


def test_the_embedded_base_refuses_what_training_refuses(context: Context) -> None:
    reader = open_reader(EMBEDDED, TaskSettings(type="chat"), context, max_tokens=None, objective="completion")
    rows = corpus(chat("Hello", "Yes?"), [("user", "Hello")], [("system", "Help."), ("user", "Hello")])
    found = ChatTemplate(reader=reader).examine(rows)
    assert [(one.place.line, one.reason) for one in found] == [
        (2, "user: no assistant turn, so nothing would be trained"),
        (3, "system, user: no assistant turn, so nothing would be trained"),
    ]
