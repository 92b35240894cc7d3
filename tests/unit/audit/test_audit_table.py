"""Columns of a row match its example; hits of a row come in message order across shards."""

import pyarrow as pa
import pytest

from tunesmith.artifacts import Example, Message, Row, Text, message
from tunesmith.artifacts.example import ToolCall
from tunesmith.audit import audit_table as audit_corpus
from tunesmith.audit.audit_table import AuditTable, Signals
from tunesmith.audit.corpus_builder import build_corpus
from tunesmith.detect.patterns import PERSONAL, SECRETS, find_hits

CALL = ToolCall(id="c1", name="look_up", arguments='{"order":7}')


def row(number: int, example: Example) -> Row:
    return Row(row_id=f"{number:016x}", file="a.jsonl", line=number + 1, example=example)


@pytest.mark.parametrize(
    ("example", "system", "prompt"),
    [
        (Example(messages=(message("user", "q"), message("assistant", "a"))), "", "q"),
        (Example(messages=(message("system", "s"), message("assistant", "a"))), "s", ""),
        (Example(messages=(message("system", "s"), message("user", "q"), message("assistant", "a"))), "s", "q"),
        (Example(messages=(message("user", "q"), message("user", "r"))), "", "q\nr"),
        (Example(messages=(message("user", "q"),)), "", "q"),
        (Example(messages=(message("assistant", "a"),)), "", ""),
        (
            Example(
                messages=(
                    message("user", "q"),
                    Message(role="assistant", content=(Text(text="a"),), tool_calls=(CALL,)),
                )
            ),
            "",
            "q",
        ),
        (Example(text="t"), "", "t"),
        (Example(text="t", labels=("l", "m")), "", "t"),
    ],
)
def test_prompt_and_completion_match_the_example(example: Example, system: str, prompt: str) -> None:
    line = build_corpus([row(0, example)], []).rows.to_pylist()[0]
    completion = None if example.text is not None and example.labels is None else example.completion
    assert (line["system"], line["prompt"], line["completion"]) == (system, prompt, completion)


@pytest.mark.parametrize("at_once", [1, 2, 20_000])
def test_hits_come_in_message_order(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_corpus, "MAX_HIT_MESSAGES", at_once)
    texts = [
        ("ring 07700 900123 or a@example.org", "password: Tr0ub4dor&3"),
        ("nothing here", "nor here"),
        ("nothing here", "b@example.org and c@example.org"),
        ("", "AKIAIOSFODNN7EXAMPLE of d@example.org"),
    ]
    rows = [
        row(number, Example(messages=(message("user", asked), message("assistant", said))))
        for number, (asked, said) in enumerate(texts)
    ]
    whole = build_corpus(rows, [])
    row_table, message_table = (
        pa.concat_tables([table.slice(0, 1), table.slice(1, 3), table.slice(4)])
        for table in (whole.rows, whole.messages)
    )
    corpus = AuditTable(row_table, message_table, Signals(row_table, message_table))
    wanted = [
        (
            number,
            [
                (place, hit)
                for place, text in enumerate(said)
                for hit in sorted(find_hits(text, PERSONAL) + find_hits(text, SECRETS))
            ],
        )
        for number, said in enumerate(texts)
    ]
    found = list(corpus.hits())
    assert found == [(number, hits) for number, hits in wanted if hits]
    assert [len(hits) for _, hits in found] == [3, 2, 2]
    assert list(corpus.without({0, 2}).hits()) == found[2:]
    assert list(corpus.without({0, 2, 3}).hits()) == []
