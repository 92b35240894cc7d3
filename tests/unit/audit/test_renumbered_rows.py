"""Columns after a split equal those of the same rows read from two files."""

import numpy

from tunesmith.artifacts import Example, Row, message
from tunesmith.audit.corpus_builder import CorpusBuilder, build_corpus
from tunesmith.data.read_row import to_streamed_row


def row(number: int) -> Row:
    """Rows of one to four messages, so that the parts of a row are told apart from those of another."""
    turns = [message("user", f"question {number}.{turn}") for turn in range(number % 4)]
    example = Example(messages=(*turns, message("assistant", f"answer {number}")))
    return Row(row_id=f"{number:016x}", file="a.jsonl", line=number + 1, example=example)


def test_columns_after_a_split_equal_those_of_two_files() -> None:
    rows = [row(number) for number in range(23)]
    test = numpy.array([0, 3, 4, 11, 22])
    train = numpy.setdiff1d(numpy.arange(23), test)
    columns = CorpusBuilder()
    columns.add([to_streamed_row(one) for one in rows], "train")
    made = columns.split(train, test).build()
    wanted = build_corpus([rows[n] for n in train], [rows[n] for n in test])
    assert made.rows.to_pylist() == wanted.rows.to_pylist()
    assert made.messages.to_pylist() == wanted.messages.to_pylist()
    assert made.rows.schema == wanted.rows.schema and made.messages.schema == wanted.messages.schema
