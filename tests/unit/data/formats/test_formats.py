"""The exact example that each format reads from a row, and the errors for invalid values."""

from typing import Any

import pytest

from tunesmith.artifacts import Example, Message, Text, message
from tunesmith.artifacts.example import LabelledSpan, ToolCall
from tunesmith.data.format import Record, format_named
from tunesmith.errors import DataError

CHAT = (message("user", "hi"), message("assistant", "yo"))


def example(name: str, record: Record, **columns: str) -> Example:
    return format_named(name, columns).read(record, columns)


GOOD: list[tuple[str, Record, dict[str, str], Example]] = [
    (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]},
        {},
        Example(messages=CHAT),
    ),
    (
        "sharegpt",
        {"conversations": [{"from": "user", "value": "hi"}, {"from": "assistant", "value": "yo"}], "system": "be kind"},
        {},
        Example(messages=(message("system", "be kind"), *CHAT)),
    ),
    ("alpaca", {"instruction": "hi", "input": "", "output": "yo"}, {}, Example(messages=CHAT)),
    ("alpaca", {"instruction": "hi", "input": None, "output": "yo"}, {}, Example(messages=CHAT)),
    (
        "alpaca",
        {"instruction": "Add.", "input": "1 and 2", "output": "3", "system": "be exact"},
        {},
        Example(
            messages=(message("system", "be exact"), message("user", "Add.\n\n1 and 2"), message("assistant", "3"))
        ),
    ),
    (
        "prompt-completion",
        {
            "prompt": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
            "completion": [{"role": "assistant", "content": "d"}],
        },
        {},
        Example(
            messages=(
                message("user", "a"),
                Message(role="assistant", content=(Text(text="b"),), weight=0.0),
                message("user", "c"),
                message("assistant", "d"),
            )
        ),
    ),
    ("labelled-text", {"text": "a", "label": ["x ", 7]}, {}, Example(text="a", labels=("x", "7"))),
    ("labelled-text", {"text": "a", "labels": []}, {}, Example(text="a", labels=())),
    ("labelled-text", {"text": "a", "label": -0.25}, {}, Example(text="a", labels=("-0.25",))),
    (
        "tagged-tokens",
        {"tokens": ["Empire", "State"], "ner": [1, 2]},
        {"tags": "ner"},
        Example(text="Empire State", tokens=("Empire", "State"), tags=("1", "2")),
    ),
    (
        "spans",
        {"text": "Bern é Rom", "entities": [{"start": 0, "end": 4, "label": "city", "text": "Bern"}, [7, 10, "city"]]},
        {},
        Example(
            text="Bern é Rom",
            spans=(LabelledSpan(start=0, end=4, label="city"), LabelledSpan(start=7, end=10, label="city")),
        ),
    ),
    ("translation", {"translation": {"en": "hi", "de": "yo"}}, {}, Example(messages=CHAT)),
    ("translation", {"translation": {"de": "yo", "en": "hi"}}, {"source": "en"}, Example(messages=CHAT)),
    ("translation", {"translation": {"de": "yo", "en": "hi"}}, {"target": "de"}, Example(messages=CHAT)),
    (
        "translation",
        {"translation": {"fr": "-", "de": "yo", "en": "hi"}},
        {"source": "en", "target": "de"},
        Example(messages=CHAT),
    ),
    ("translation", {"en": "hi", "de": "yo"}, {"source": "en", "target": "de"}, Example(messages=CHAT)),
    ("summary", {"article": "hi", "highlights": "yo"}, {"summary": "highlights"}, Example(messages=CHAT)),
    ("question-answer", {"question": "hi", "answer": "yo"}, {}, Example(messages=CHAT)),
    ("question-answer", {"question": "hi", "context": None, "answers": ["yo", "yo"]}, {}, Example(messages=CHAT)),
    (
        "question-answer",
        {"question": "q", "context": "c", "answers": {"text": ["a", "b", "a"], "answer_start": [1, 2, 1]}},
        {},
        Example(messages=(message("user", "c\n\nq"), message("assistant", "a")), answers=("a", "b")),
    ),
    (
        "question-answer",
        {"question": "q", "answers": {"text": [], "answer_start": []}},
        {},
        Example(messages=(message("user", "q"), message("assistant", ""))),
    ),
]


@pytest.mark.parametrize(("name", "record", "columns", "expected"), GOOD)
def test_example(name: str, record: Record, columns: dict[str, str], expected: Example) -> None:
    assert example(name, record, **columns) == expected


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"b": 1, "a": 2.0}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}


def test_tools_calls_and_answers_are_kept() -> None:
    record = {
        "messages": [
            {"role": "user", "content": "rain?", "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [CALL], "name": None},
            {"role": "tool", "tool_call_id": "c1", "content": "dry"},
            {"role": "assistant", "content": "no", "tool_calls": [], "weight": 2},
        ],
        "tools": [WEATHER],
    }
    found = example("messages", record)
    assert found == Example(
        messages=(
            Message(role="user", content=(Text(text="rain?"),), name="ann"),
            Message(
                role="assistant",
                content=(),
                tool_calls=(ToolCall(name="weather", arguments='{"city": "Bern"}', id="c1"),),
            ),
            Message(role="tool", content=(Text(text="dry"),), tool_call_id="c1"),
            Message(role="assistant", content=(Text(text="no"),), weight=2.0),
        ),
        tools=('{"function":{"name":"weather","parameters":{"a":2,"b":1}},"type":"function"}',),
    )
    assert found.prompt_text == 'rain?\n{"name": "weather", "arguments": {"city": "Bern"}}\ndry'
    assert Example.from_bytes(found.canonical()) == found


def test_tools_may_be_the_text_of_json_and_arguments_an_object() -> None:
    call = {"function": {"name": "f", "arguments": {"b": 1, "a": "é"}}}
    record = {"messages": [{"role": "assistant", "tool_calls": [call]}], "tools": '[{"name": "f"}]'}
    found = example("messages", record)
    assert found.tools == ('{"name":"f"}',)
    assert found.completion == '{"name": "f", "arguments": {"a":"é","b":1}}'


def test_calls_of_sharegpt() -> None:
    turns = [
        {"from": "human", "value": "rain?"},
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Bern"}}'},
        {"from": "observation", "value": "dry"},
        {"from": "gpt", "value": "no", "weight": None},
    ]
    found = example("sharegpt", {"conversations": turns, "tools": ""})
    assert [turn.role for turn in found.messages] == ["user", "assistant", "tool", "assistant"]
    assert found.messages[1].tool_calls == (ToolCall(name="weather", arguments='{"city":"Bern"}'),)


def test_older_examples_keep_their_bytes() -> None:
    assert example("messages", {"messages": [{"role": "user", "content": "a"}]}).canonical() == (
        b'{"labels":null,"messages":[{"content":[{"text":"a","type":"text"}],"role":"user"}],"text":null}'
    )
    assert (
        example("labelled-text", {"text": "a", "label": "b"}).canonical()
        == b'{"labels":["b"],"messages":[],"text":"a"}'
    )


@pytest.mark.parametrize(
    ("name", "record", "prompt", "completion"),
    [
        ("tagged-tokens", {"tokens": ["in", "Bern"], "tags": ["O", "B-loc"]}, "in Bern", "O B-loc"),
        ("spans", {"text": "in Bern", "spans": [[3, 7, "city"]]}, "in Bern", "city: Bern"),
        ("labelled-text", {"text": "t", "labels": ["a", "b"]}, "t", "a, b"),
        ("labelled-text", {"text": "t", "label": "a"}, "t", "a"),
        ("text", {"text": "t"}, "t", ""),
    ],
)
def test_prompt_and_completion(name: str, record: Record, prompt: str, completion: str) -> None:
    found = example(name, record)
    assert (found.prompt_text, found.completion) == (prompt, completion)


def turn(**keys: Any) -> Record:
    return {"messages": [keys]}


ASSISTANT: Record = {"role": "assistant", "content": "x"}
BAD: list[tuple[str, Record, str]] = [
    ("messages", {"messages": []}, "'messages' must be a list of messages that is not empty"),
    ("messages", {"messages": "hi"}, "'messages' must be a list"),
    ("messages", turn(role="user"), "message 1 must be an object with role and content"),
    ("messages", turn(role="user", content=None), "the content of message 1 must be text"),
    ("messages", turn(role="assistant", content=None, name="a"), "message 1 must be an object with role and content"),
    ("messages", turn(role="user", content="x", tool_calls=[CALL]), "'tool_calls', which is not read"),
    ("messages", turn(role="user", content="x", tool_call_id="c"), "'tool_call_id', which is not read"),
    (
        "messages",
        turn(**ASSISTANT, function_call={}),
        "'function_call', which is not read\nhint: write it as `tool_calls`",
    ),
    ("messages", turn(role="function", content="x"), "the role 'function'"),
    ("messages", turn(**ASSISTANT, tool_calls={}), "the tool_calls of message 1 must be a list"),
    ("messages", turn(**ASSISTANT, tool_calls=[{"type": "custom"}]), "a tool call that is no function call"),
    ("messages", turn(**ASSISTANT, tool_calls=[{"function": {"name": ""}}]), "a tool call without a name"),
    (
        "messages",
        turn(**ASSISTANT, tool_calls=[{"function": {"name": "f", "arguments": "{"}}]),
        "that are no JSON object",
    ),
    (
        "messages",
        turn(**ASSISTANT, tool_calls=[{"function": {"name": "f", "arguments": "[]"}}]),
        "that are no JSON object",
    ),
    ("messages", turn(**ASSISTANT, tool_calls=[{**CALL, "id": 3}]), "the id of message 1 must be text, found int"),
    ("messages", {**turn(**ASSISTANT), "tools": "x"}, "the column 'tools' must hold a list of tool definitions"),
    ("messages", {**turn(**ASSISTANT), "tools": [{"n": 2**60}]}, "the column 'tools' cannot be written as JSON"),
    ("messages", {**turn(**ASSISTANT), "functions": [{}]}, "`functions`, which is not read"),
    ("sharegpt", {"conversations": [{"role": "user", "content": "x"}]}, "turn 1 has role and not from"),
    ("sharegpt", {"conversations": [{"from": "bot", "value": "x"}]}, "turn 1 is from 'bot'"),
    ("sharegpt", {"conversations": [{"from": "human", "value": None}]}, "turn 1 must be an object with from and value"),
    (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "x", "weight": 1}]},
        "the key 'weight', which is not read",
    ),
    ("sharegpt", {"conversations": [{"from": "function_call", "value": "x"}]}, "message 1 must hold one JSON object"),
    (
        "sharegpt",
        {"conversations": [{"from": "system", "value": "x"}], "system": "y"},
        "the column 'system' and a system turn",
    ),
    ("alpaca", {"instruction": "a", "output": "b", "history": [["c", "d"]]}, "a `history`, which is not read"),
    ("alpaca", {"instruction": "a", "output": "b", "input": 3}, "the column 'input' must hold text, found int"),
    ("prompt-completion", {"prompt": "a", "completion": [ASSISTANT]}, "must both be text, or both lists"),
    (
        "prompt-completion",
        {"prompt": [ASSISTANT], "completion": [{"role": "user", "content": "x"}]},
        "must be the assistant's",
    ),
    ("labelled-text", {"text": "a", "label": True}, "'label' must hold text, found bool"),
    ("labelled-text", {"text": "a", "label": float("inf")}, "'label' must hold text, found float"),
    ("labelled-text", {"text": "a", "label": ["b", "b"]}, "has the label 'b' twice"),
    ("labelled-text", {"text": "a", "label": [[0, 1, "x"]]}, "found list\nhint: labelled spans are the format `spans`"),
    ("tagged-tokens", {"tokens": ["a", "b"], "tags": ["O"]}, "2 tokens, but 1 tags"),
    (
        "tagged-tokens",
        {"tokens": ["a", ""], "tags": ["O", "O"]},
        "'tokens' must hold a list of words, found an empty one",
    ),
    ("tagged-tokens", {"tokens": ["a"], "tags": [None]}, "'tags' must hold a list of words, found null"),
    ("tagged-tokens", {"tokens": ["a"], "tags": ["B loc"]}, "the tag 'B loc' holds a space"),
    ("tagged-tokens", {"tokens": [], "tags": []}, "must hold a list that is not empty"),
    ("spans", {"text": "abc", "spans": [[0, 4, "x"]]}, "span 1 goes from 0 to 4, and the text has 3 characters"),
    ("spans", {"text": "abc", "spans": [[1, 1, "x"]]}, "span 1 goes from 1 to 1"),
    ("spans", {"text": "abc", "spans": [[True, 2, "x"]]}, "span 1 goes from True to 2"),
    ("spans", {"text": "abc", "spans": [{"start": 0, "end": 1}]}, "span 1 must be an object with start, end and label"),
    (
        "spans",
        {"text": "abc", "spans": [{"start": 0, "end": 2, "label": "x", "text": "bc"}]},
        "span 1 repeats a text that does not stand at 0 to 2",
    ),
    ("translation", {"translation": {"en": "a", "de": "b", "fr": "c"}}, "one text for each of two languages"),
    ("translation", {"translation": "a"}, "one text for each of two languages"),
    ("translation", {"translation": {"en": "a", "de": None}}, "the column 'de' must hold text, found null"),
    ("summary", {"document": "a", "summary": 3}, "the column 'summary' must hold text, found int"),
    ("question-answer", {"question": "a", "answers": {"text": [3]}}, "an answer that is no text but int"),
    ("question-answer", {"question": "a", "answers": 3}, "must hold text or a list of answers, found int"),
]


@pytest.mark.parametrize(("name", "record", "what"), BAD)
def test_invalid_values(name: str, record: Record, what: str) -> None:
    with pytest.raises(DataError) as caught:
        example(name, record)
    assert what in str(caught.value)
