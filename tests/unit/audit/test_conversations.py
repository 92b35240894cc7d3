"""Conversation shapes, examples and sizes, compared with the rows themselves."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.artifacts import Example, Message, Role, Row, Text, message
from tunesmith.artifacts.example import ToolCall
from tunesmith.audit.conversations import conversation_shapes, row_example, row_sizes
from tunesmith.audit.corpus_builder import build_corpus

TURNS = st.lists(
    st.tuples(st.sampled_from(("system", "user", "assistant", "tool")), st.text("aé漢\n", max_size=5)),
    min_size=1,
    max_size=40,
)
LABELLED = st.tuples(st.text("aé漢", max_size=5), st.sampled_from([None, "x", "é"]))


def row_of(number: int, made: object) -> Row:
    if isinstance(made, list):
        example = Example(messages=tuple(message(role, text) for role, text in made))
    else:
        assert isinstance(made, tuple)
        text, label = made
        example = Example(text=text, labels=None if label is None else (label,))
    return Row(row_id=f"{number:016x}", file="a.jsonl", line=number + 1, example=example)


def asked(row: Row) -> list[tuple[Role, str]]:
    if row.example.messages:
        return [(turn.role, turn.text) for turn in row.example.messages]
    return [("user", row.example.text or ""), ("assistant", row.example.completion)]


@settings(deadline=None)
@given(st.lists(st.one_of(TURNS, LABELLED), max_size=8))
def test_shapes_examples_and_sizes(made: list[object]) -> None:
    rows = [row_of(number, one) for number, one in enumerate(made)]
    corpus = build_corpus(rows, [])
    read = [[(turn.role, turn.text) for turn in row_example(corpus, number).messages] for number in range(len(rows))]
    assert read == [asked(row) for row in rows]
    expected: dict[tuple[tuple[Role, ...], bool], list[int]] = {}
    for number, row in enumerate(rows):
        roles = tuple(role for role, _ in asked(row))
        expected.setdefault((roles, not row.example.messages), []).append(number)
    assert {(kind.roles, kind.texts): kind.rows.tolist() for kind in conversation_shapes(corpus)} == expected
    if rows:
        plain, beyond = row_sizes(corpus)
        for number, row in enumerate(rows):
            texts = "".join(text for _, text in asked(row))
            assert plain[number] + beyond[number] == len(texts.encode())
            assert beyond[number] >= len(texts.encode()) - sum(map(str.isascii, texts))


def test_shapes_of_remaining_rows() -> None:
    turns = [("user", "a"), ("assistant", "b")]
    rows = [row_of(0, turns), row_of(1, [("system", "s"), *turns]), row_of(2, turns)]
    left = build_corpus(rows, []).without({0})
    assert [(kind.roles, kind.rows.tolist()) for kind in conversation_shapes(left)] == [
        (("system", "user", "assistant"), [1]),
        (("user", "assistant"), [2]),
    ]
    assert row_sizes(left)[0].tolist() == [0, 3, 2]
    assert conversation_shapes(left.without({1, 2})) == []


def test_calls_tools_and_weights_distinguish_shapes_and_are_restored() -> None:
    call = ToolCall(name="track", arguments='{"order": 7}', id="c1")
    ask, result = message("user", "a"), Message(role="tool", content=(Text(text="r"),), tool_call_id="c1", name="track")
    tools = ('{"function":{"name":"track"},"type":"function"}',)

    def talk(weight: float | None, calls: bool, given: bool) -> Example:
        turn = Message(role="assistant", content=(Text(text=""),), weight=weight, tool_calls=(call,) if calls else None)
        return Example(messages=(ask, turn, result), tools=tools if given else None)

    examples = [talk(w, c, g) for w in (None, 0.0, 0.5, 3.0) for c in (False, True) for g in (False, True)]
    rows = [Row(row_id=f"{at:016x}", file="a.jsonl", line=at + 1, example=one) for at, one in enumerate(examples)]
    corpus = build_corpus(rows, [])
    assert [row_example(corpus, number) for number in range(len(rows))] == examples
    kinds = conversation_shapes(corpus)
    assert [kind.rows.tolist() for kind in kinds] == [
        *([at] for at in range(8)),
        *([at, at + 4] for at in range(8, 12)),
    ]
    shapes = [(bool(kind.shape.tools), bool(kind.shape.messages[1].tool_calls)) for kind in kinds[:4]]
    assert shapes == [(False, False), (True, False), (False, True), (True, True)]
    assert row_sizes(corpus)[0][0] < row_sizes(corpus)[0][2] < row_sizes(corpus)[0][3]
