"""Orders of roles, turns and sizes of rows, against the rows themselves."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.artifacts import Example, Role, Row, message
from tunesmith.audit.columns import corpus_of
from tunesmith.audit.conversations import kinds_of, sizes_of, turns_of

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
def test_kinds_turns_and_sizes(made: list[object]) -> None:
    rows = [row_of(number, one) for number, one in enumerate(made)]
    corpus = corpus_of(rows, [])
    assert [turns_of(corpus, number) for number in range(len(rows))] == [asked(row) for row in rows]
    expected: dict[tuple[tuple[Role, ...], bool], list[int]] = {}
    for number, row in enumerate(rows):
        roles = tuple(role for role, _ in asked(row))
        expected.setdefault((roles, not row.example.messages), []).append(number)
    assert {(kind.roles, kind.texts): kind.rows.tolist() for kind in kinds_of(corpus)} == expected
    if rows:
        plain, beyond = sizes_of(corpus)
        for number, row in enumerate(rows):
            texts = "".join(text for _, text in asked(row))
            assert plain[number] + beyond[number] == len(texts.encode())
            assert beyond[number] >= len(texts.encode()) - sum(map(str.isascii, texts))


def test_kinds_of_the_rows_that_are_left() -> None:
    turns = [("user", "a"), ("assistant", "b")]
    rows = [row_of(0, turns), row_of(1, [("system", "s"), *turns]), row_of(2, turns)]
    left = corpus_of(rows, []).without({0})
    assert [(kind.roles, kind.rows.tolist()) for kind in kinds_of(left)] == [
        (("system", "user", "assistant"), [1]),
        (("user", "assistant"), [2]),
    ]
    assert sizes_of(left)[0].tolist() == [0, 3, 2]
    assert kinds_of(left.without({1, 2})) == []
