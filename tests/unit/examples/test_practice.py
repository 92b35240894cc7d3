"""Tests of the seeded practice text."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "examples" / "pebble"))

from practice import categories, fields, questions, rows
from practice.labels import STYLES, styled

COUNT = 400
ABSENT = set(questions.ABSENT)


def kind_rows(kind, seed=7):
    """Rows of one kind."""
    return [rows.row(seed, index, kind) for index in range(COUNT)]


def prompt_of(row):
    """All that the model sees before the last answer."""
    return "\n".join(message["content"] for message in row["messages"][:-1])


def copied(value, prompt):
    """Whether a value stands in the prompt as a whole word or phrase."""
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", prompt) is not None


def values_of(answer):
    """Every text value of a nested object."""
    for value in answer.values():
        yield from values_of(value) if isinstance(value, dict) else [value]


def keys_of(answer):
    """Every key of a nested object."""
    for key, value in answer.items():
        yield key
        if isinstance(value, dict):
            yield from keys_of(value)


def test_same_seed_gives_same_rows():
    assert list(rows.rows(300, 7)) == list(rows.rows(300, 7))
    assert list(rows.rows(50, 7)) != list(rows.rows(50, 8))


def test_a_row_does_not_depend_on_the_rows_before():
    assert rows.row(7, 250) == list(rows.rows(251, 7))[250]


@pytest.mark.parametrize("kind", rows.NAMES)
def test_rows_are_clean_chats(kind):
    for row in kind_rows(kind):
        assert set(row) == {"messages", "source", "kind"}
        assert row["source"] == "tunesmith-practice" and row["kind"] == kind
        roles = [message["role"] for message in row["messages"]]
        if roles[0] == "system":
            roles = roles[1:]
        assert len(roles) >= 2 and roles == ["user", "assistant"] * (len(roles) // 2)
        for message in row["messages"]:
            assert message["content"] and message["content"] == message["content"].strip()
            assert len(message["content"].split()) < 420
            if kind not in ("copying", "drills", "patterns"):
                assert not re.search(r"\{[a-z_:]+\d?\}|\{[SV]\}", message["content"]), message


def test_question_answers_stand_in_the_prompt():
    for row in kind_rows("questions"):
        for at, message in enumerate(row["messages"]):
            if message["role"] != "assistant":
                continue
            prompt = "\n".join(entry["content"] for entry in row["messages"][:at]).lower()
            answer = message["content"]
            if answer in ABSENT:
                assert answer.lower() in prompt
            elif not copied(answer.lower(), prompt):
                facts = re.findall(r"\S*[A-Z0-9]\S*", answer.rstrip("."))[1:]
                assert answer.endswith(".")
                assert all(fact.lower() in prompt for fact in facts), (answer, prompt)


def test_field_answers_are_copied_and_parse():
    combined = 0
    for row in kind_rows("fields"):
        answer = json.loads(row["messages"][-1]["content"])
        prompt = prompt_of(row)
        assert all(key in prompt for key in keys_of(answer))
        said = {key for key in answer if key in fields.REPLY_KEYS and not copied(str(answer[key]), prompt)}
        combined += bool(said)
        assert len(said) <= 1
        for value in values_of({key: value for key, value in answer.items() if key not in said}):
            assert value in (None, "") or copied(value, prompt), (value, prompt)
        assert not {"queue", "fields", "reply"} <= set(answer)
    assert COUNT * 0.15 < combined < COUNT * 0.5


def test_drill_answers_stand_in_the_prompt_word_for_word():
    for row in kind_rows("drills"):
        for at, message in enumerate(row["messages"]):
            if message["role"] == "assistant":
                assert message["content"] in "\n".join(entry["content"] for entry in row["messages"][:at])


def test_category_answers_are_listed():
    for row in kind_rows("categories"):
        first = "\n".join(message["content"] for message in row["messages"] if message["role"] != "assistant")
        for message in row["messages"]:
            if message["role"] == "assistant":
                assert copied(message["content"], first)


def test_category_messages_fit_every_spelling():
    for name in categories.ALL:
        assert len({styled(name, style) for style in STYLES}) >= 3


def test_alphabetical_answers_are_sorted():
    for row in kind_rows("lists"):
        answer, prompt = row["messages"][-1]["content"], prompt_of(row)
        if "alphabetical" in prompt and len(row["messages"]) == 2 and ", " in answer:
            assert answer.split(", ") == sorted(answer.split(", "), key=str.lower)


def test_prompts_differ_and_kinds_have_their_share():
    drawn = list(rows.rows(6000, 7))
    assert len({prompt_of(row) for row in drawn}) >= 0.97 * len(drawn)
    shares = Counter(row["kind"] for row in drawn)
    for kind, (weight, _) in rows.KINDS.items():
        assert abs(shares[kind] / len(drawn) - weight / 100) < 0.03
    with_system = sum(row["messages"][0]["role"] == "system" for row in drawn)
    assert 0.18 < with_system / len(drawn) < 0.33
