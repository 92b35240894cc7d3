"""Checks that need a base: over-long rows and rows that cannot be trained, with a scripted reader and the embedded base."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from tunesmith.artifacts import Example, Message, Role, Row, Text, message
from tunesmith.artifacts.example import ToolCall
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.checks.chat_template import ChatTemplate
from tunesmith.audit.checks.over_long import OverLong
from tunesmith.audit.corpus_builder import build_corpus
from tunesmith.context import Context
from tunesmith.errors import DataError
from tunesmith.models.bases import EMBEDDED_BASE
from tunesmith.models.bases.new_tokenizer import train_tokenizer
from tunesmith.models.reader import BaseReader, open_reader
from tunesmith.models.reader_protocol import TokenBound, TokenCounts
from tunesmith.models.tasks import DecoderTask
from tunesmith.recipe import TaskSettings, TrainSettings
from tunesmith.train.setup import TaskEncoder, encode_rows


@dataclass(frozen=True)
class Scripted:
    """Counts letters as tokens; refuses the role tool, and texts that say so. Remembers what it was asked to read."""

    name: str = "scripted"
    window: int = 20
    controls: tuple[str, ...] = ("<turn>",)
    cuts_texts: bool = False
    asked: list[str] = field(default_factory=list, compare=False)

    def bound(self, shape: Example) -> TokenBound:
        if "tool" in (turn.role for turn in shape.messages):
            raise DataError("no tools")
        return TokenBound(1, 1, 1)

    def read(self, example: Example) -> TokenCounts:
        turns = [(turn.role, turn.text) for turn in example.messages]
        text = "".join(text for _, text in turns)
        self.asked.append(text)
        if "tool" in (role for role, _ in turns):
            return TokenCounts(problem="the chat template refuses the conversation: no tools")
        if "drop" in text:
            return TokenCounts(problem="the chat template leaves out a part of the answer")
        trained = len(turns[-1][1])
        lost = max(0, len(text) - self.window)
        return TokenCounts(len(text), lost, trained, min(trained, lost))


def corpus(*rows: Sequence[tuple[Role, str]]) -> AuditTable:
    return build_corpus(
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


def test_only_rows_with_enough_bytes_are_tokenized() -> None:
    reader = Scripted()
    rows = corpus(chat("a" * 10, "b" * 9), chat("a" * 10, "b" * 10), chat("a" * 15, "b" * 10), chat("a" * 30, "b"))
    found = OverLong(reader=reader).examine(rows)
    assert [len(text) for text in reader.asked] == [20, 25, 31]
    assert [(one.place.line, one.severity, one.reason) for one in found] == [
        (3, "error", "25 tokens, 5 behind the 20 that scripted is given; 5 of its 10 trained tokens would be lost"),
        (4, "error", "31 tokens, 11 behind the 20 that scripted is given; 1 of its 1 trained tokens would be lost"),
    ]


def test_roles_the_template_rejects_are_reported_by_chat_template_only() -> None:
    rows = corpus([*chat("a" * 30, "b"), ("tool", "c")], chat("a", "b"))
    assert OverLong(reader=Scripted()).examine(rows) == []
    found = ChatTemplate(reader=Scripted()).examine(rows)
    assert [(one.place.line, one.reason) for one in found] == [
        (1, "user, assistant, tool: the chat template refuses the conversation: no tools")
    ]


def test_without_a_base_no_row_is_over_long() -> None:
    assert OverLong().examine(corpus(chat("a" * 9999, "b"))) == []


def test_a_group_is_read_completely_once_a_sampled_row_fails() -> None:
    """Plain rows: every fifth is looked at. Rows that begin in white space are a sort of their own."""
    plain = [chat(f"a{number}", "drop" if number in (5, 7) else "b") for number in range(10)]
    tricky = [chat(f" a{number}", "drop" if number == 3 else "b") for number in range(10)]
    found = ChatTemplate(sample=2, reader=Scripted()).examine(corpus(*plain, *tricky))
    assert [one.place.line for one in found] == [6, 8]
    everything = ChatTemplate(sample=10, reader=Scripted()).examine(corpus(*plain, *tricky))
    assert [one.place.line for one in everything] == [6, 8, 14]


def test_a_row_with_a_marker_of_the_base_is_reported_once_and_not_rendered() -> None:
    reader = Scripted()
    (found,) = ChatTemplate(reader=reader).examine(corpus(chat("a <turn> b", "drop"), chat("c", "d")))
    assert found.reason == "a message spells <turn>, a marker of a chat template"
    assert [(span.message, span.start, span.end) for span in found.spans] == [(0, 2, 8)]
    assert "a <turn> bdrop" not in reader.asked
    assert ChatTemplate().examine(corpus(chat("a <turn> b", "c"))) == []


def test_the_embedded_base_rejects_what_training_rejects(context: Context) -> None:
    reader = open_reader(EMBEDDED_BASE, TaskSettings(type="chat"), context, train=TrainSettings(rows_per_step=1))
    rows = corpus(chat("Hello", "Yes?"), [("user", "Hello")], [("system", "Help."), ("user", "Hello")])
    found = ChatTemplate(reader=reader).examine(rows)
    assert [(one.place.line, one.reason) for one in found] == [
        (2, "user: no assistant turn, so nothing would be trained"),
        (3, "system, user: no assistant turn, so nothing would be trained"),
    ]


TOOLED = (
    "{%- if tools %}{{ '<|system|>Tools:' }}{% for tool in tools %}{{ '\\n' + (tool | tojson(indent=4)) }}{% endfor %}"
    "{{ eos_token }}{% endif -%}{%- for turn in messages %}{{ '<|' + turn.role + '|>' + turn.content }}"
    "{%- for call in turn.tool_calls or [] %}{{ '<tool_call>' + (call.function | tojson) + '</tool_call>' }}{% endfor -%}"
    "{{ eos_token }}{% endfor -%}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""Writes tools and calls; tokens are bytes, nearly."""

TOOL = json.dumps({"type": "function", "function": {"name": "track", "parameters": {"properties": {"order": {}}}}})


def called(arguments: str, *, weight: float | None = None) -> Message:
    call = ToolCall(name="track", arguments=arguments, id="call00001")
    return Message(role="assistant", content=(), tool_calls=(call,), weight=weight)


def said(text: str, weight: float | None = None) -> Message:
    return Message(role="assistant", content=(Text(text=text),), weight=weight)


def talk(arguments: str, answer: str, *, weights: tuple[float | None, float | None] = (None, None)) -> Example:
    """A question, a call, its result and an answer."""
    result = Message(role="tool", content=(Text(text="due on Friday"),), tool_call_id="call00001")
    turns = (message("user", "Where is it?"), called(arguments, weight=weights[0]), result, said(answer, weights[1]))
    return Example(messages=turns, tools=(TOOL,))


def plain(*weights: float | None, size: int = 5) -> Example:
    turns = ((message("user", "ab"), said("c" * size, weight)) for weight in weights)
    return Example(messages=tuple(turn for pair in turns for turn in pair))


EXAMPLES = (
    talk('{"order": "7"}', "It comes on Friday."),
    talk(json.dumps({"order": "x" * 400}), "It comes."),
    talk('{"order": "7"}', "y" * 400),
    talk('{"order": "7"}', "y" * 400, weights=(None, 0.0)),
    talk(json.dumps({"order": "x" * 400}), "It comes.", weights=(0.0, None)),
    talk('{"order": "7"}', "It comes.", weights=(0.0, 0.0)),
    Example(messages=talk('{"order": "7"}', "z" * 400).messages),
    talk('{"order": "<|end|>"}', "It comes."),
    plain(None),
    plain(0.0),
    plain(0.0, None),
    plain(2.0, 0.0, size=300),
    plain(None, size=600),
)


REJECTED = {(True, "completion"): 9, (True, "all-tokens"): 10, (False, "completion"): 11, (False, "all-tokens"): 12}
"""By whether the template writes tools, and objective."""


@pytest.mark.parametrize("objective", ["completion", "all-tokens"])
@pytest.mark.parametrize("template", [TOOLED, None], ids=["with tools", "without"])
def test_checks_and_dry_run_agree_on_tools_and_weights(template: str | None, objective: str) -> None:
    """The rows that are not trained are the same; so are tokens, losses and reasons."""
    tokenizer = train_tokenizer(("Where is it? It comes on Friday. track order",), 320, positions=512)
    tokenizer.chat_template = template or tokenizer.chat_template
    task = TaskSettings(type="chat")
    reader = BaseReader("tried", "sha256:t", 512, task, objective, tokenizer)
    rows = [
        Row(row_id=f"{number:016x}", file="a.jsonl", line=number + 1, example=example)
        for number, example in enumerate(EXAMPLES)
    ]
    _, rejected = encode_rows(rows, TaskEncoder(DecoderTask(task), tokenizer, 512, objective))
    told = {one.place.line: one for one in rejected}
    corpus = build_corpus(rows, [])
    long = {one.place.line: one.reason for one in OverLong(reader=reader).examine(corpus)}
    bad = {one.place.line: one.reason for one in ChatTemplate(reader=reader).examine(corpus)}
    assert set(long) | set(bad) == set(told)
    assert set(long) == {line for line, one in told.items() if one.tokens}
    for line, reason in long.items():
        numbers = [int(number) for number in re.findall(r"[0-9]+", reason)]
        assert (numbers[0], numbers[1], numbers[3]) == (told[line].tokens, told[line].lost, told[line].lost_trained)
    for line in set(bad) - set(long):
        why = told[line].reason.removeprefix(f"row {line - 1:016x}: ")
        marker = "a message spells the control token <|end|>"
        assert bad[line].endswith("token to train on" if why.endswith("no token to train on") else why) or why == marker
    assert len(told) == REJECTED[template is not None, objective]


def test_rows_with_tools_are_tokenized_only_if_they_may_be_too_long() -> None:
    tokenizer = train_tokenizer(("Where is it?",), 320, positions=4096)
    tokenizer.chat_template = TOOLED
    reader = BaseReader("tried", "sha256:t", 2000, TaskSettings(type="chat"), "completion", tokenizer)
    rows = [
        Row(row_id=f"{number:016x}", file="a.jsonl", line=number + 1, example=talk(json.dumps({"order": text}), "ok"))
        for number, text in enumerate(("x", "x" * 1900, "x" * 2600))
    ]
    corpus = build_corpus(rows, [])
    check = OverLong(reader=reader)
    assert check._suspects(corpus, reader) == [1, 2]
    shorter = replace(reader, window=60)
    assert [one.place.line for one in OverLong(reader=shorter).examine(corpus)] == [1, 2, 3]
