"""Valid rows of a file are read; each invalid row is reported with its line and the reason."""

from pathlib import Path

import pytest

from tunesmith.artifacts import Example, message
from tunesmith.data.examples import ExampleReader, read_examples
from tunesmith.data.format import InvalidRow
from tunesmith.errors import DataError, Misuse

GOOD = b'{"text": "a", "label": "b"}\n'


def misfits(path: Path, **options: str) -> list[tuple[int, str]]:
    found = read_examples(path, path.name, format_name=options.pop("format", None), columns=options)
    return [(one.line, one.reason) for one in found if isinstance(one, InvalidRow)]


def test_reading_continues_after_invalid_rows(tmp_path: Path) -> None:
    lines = [
        GOOD,
        b"{oops\n",
        b'{"text": "a", "label": null}\n',
        b'{"prompt": "a", "completion": "b"}\n',
        b"[1]\n",
        b'{"text": "a", "text": "b", "label": "c"}\n',
        b'{"text": "a", "label": NaN}\n',
        b'{"text": "\\ud83d", "label": "b"}\n',
        b'{"text": "' + b"a" * 10_000_000 + b'"}\n',
        b"[" * 200_000 + b"\n",
        b'{"text": 1e999, "label": "b"}\n',
        GOOD,
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines))
    found = list(read_examples(path, path.name))
    kept = [one for one in found if not isinstance(one, InvalidRow)]
    assert [(line, example) for line, example, _ in kept] == [(n, Example(text="a", labels=("b",))) for n in (1, 12)]
    assert [(one.line, one.reason) for one in found if isinstance(one, InvalidRow)] == [
        (2, "broken JSON: Expecting property name enclosed in double quotes at column 2"),
        (3, "the column 'label' must hold text, found null"),
        (4, "mixed formats: this row is prompt-completion, the rows from line 1 on are labelled-text"),
        (5, "a row is a JSON object, found list"),
        (6, "broken JSON: the key 'text' stands twice in one object"),
        (7, "broken JSON: NaN is not JSON"),
        (8, "half of a surrogate pair, which is no character"),
        (9, "the line is longer than 10 MB"),
        (10, "the JSON is nested too deep"),
        (11, "broken JSON: the number 1e999 is too large"),
    ]


def test_a_row_of_another_format_than_stated_names_both(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD + b'{"prompt": "a", "completion": "b"}\n{"x": 1}\n')
    assert misfits(path, format="labelled-text") == [
        (2, "mixed formats: this row is prompt-completion, and the source says labelled-text"),
        (3, "there is no column 'text'; the row has 'x'"),
    ]


def test_the_first_matching_row_sets_the_format(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"x": 1}\n' + GOOD + b'{"text": "a"}\n')
    reader = ExampleReader(None, {})
    assert reader.format_id == ""
    assert isinstance(reader.read(1, {"x": 1}), InvalidRow)
    assert reader.format_id == ""
    assert reader.read(2, {"text": "a", "label": "b"}) == Example(text="a", labels=("b",))
    assert reader.format_id == "labelled-text"
    assert reader.columns_read({"text": "a", "label": "b"}) == {"text", "label"}
    assert misfits(path) == [
        (1, "no format fits the columns 'x'"),
        (3, "mixed formats: this row is text, the rows from line 2 on are labelled-text"),
    ]


def test_the_first_row_sets_the_direction_of_a_translation(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"translation": {"en": "hi", "de": "yo"}}\n{"translation": {"de": "yo", "en": "hi"}}\n{"translation": {"en": "hi"}}\n'
    )
    found = list(read_examples(path, path.name))
    assert [one[1].messages for one in found if not isinstance(one, InvalidRow)] == [
        (message("user", "hi"), message("assistant", "yo"))
    ] * 2
    assert found[2] == InvalidRow(3, "there is no text in 'de'; the row has 'en'")


def test_a_source_column_used_as_text_states_no_rights() -> None:
    reader = ExampleReader(None, {})
    record = {"source": "hi", "target": "yo", "license": "MIT"}
    reader.read(1, record)
    assert reader.columns_read(record) == {"source", "target"}


def test_errors_of_the_source_settings_are_raised_at_once(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="unknown format 'massages'\nhint: did you mean 'messages'?"):
        ExampleReader("massages", {})
    with pytest.raises(DataError, match="`columns:` names the part 'lable', which no format has"):
        ExampleReader(None, {"lable": "x"})
    with pytest.raises(DataError, match="`columns:` names the part 'label', which the format 'text' has"):
        ExampleReader("text", {"label": "x"})


@pytest.mark.parametrize(
    ("name", "data", "reasons"),
    [
        ("a.csv", b"text,label\na,b\nx,y,z\na,b\n", [(3, "3 fields, but the header has 2")]),
        ("a.json", b'[{"text": "a"},\n3,\n{"text": "a", "text": "b"},\n{"text": "b"}]', [
            (2, "a row is a JSON object, found int"),
            (3, "broken JSON: the key 'text' stands twice in one object"),
        ]),
        ("a.conll", b"a\tO\nb\n\na\tO\n", [(2, "a token without a tag")]),
    ],
)  # fmt: skip
def test_other_containers_read_on_after_bad_rows(
    name: str, data: bytes, reasons: list[tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    found = list(read_examples(tmp_path / name, name))
    assert [(one.line, one.reason) for one in found if isinstance(one, InvalidRow)] == reasons
    assert isinstance(found[-1], tuple)
