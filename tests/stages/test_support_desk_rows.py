"""The rows of examples/support-desk: enough of them, well formed, and no held-out row written from a training row."""

import json
import re
from pathlib import Path

import pytest

QUEUES = {"delivery", "returns", "damaged", "billing", "order-change", "product", "account", "feedback"}
WISHES = {"status", "refund", "replacement", "return", "cancel", "change", "invoice", "information", "access", "none"}
RUN = 8


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / "examples" / "support-desk"


@pytest.fixture(scope="module")
def planted(folder: Path) -> set[int]:
    return {plant["line"] for plant in json.loads((folder / "plants.json").read_text())["plants"]}


def own_rows(folder: Path, planted: set[int]) -> list[dict]:
    return [row for line, row in enumerate(read(folder / "tickets.jsonl"), 1) if line not in planted]


def texts(row: dict) -> list[str]:
    """Message and reply: what was written; the frame of the JSON is the same in every row by design."""
    return [row["messages"][0]["content"], json.loads(row["messages"][1]["content"])["reply"]]


def runs(text: str) -> set[str]:
    words = re.findall(r"[\w']+", text.lower())
    return {" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def test_there_are_enough_rows(folder: Path, planted: set[int]) -> None:
    assert len(own_rows(folder, planted)) >= 900
    assert len(read(folder / "held-out.jsonl")) >= 300


def test_every_completion_is_the_agreed_object(folder: Path, planted: set[int]) -> None:
    for row in [*own_rows(folder, planted), *read(folder / "held-out.jsonl")]:
        user, assistant = row["messages"]
        answer = json.loads(assistant["content"])
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert list(answer) == ["queue", "fields", "reply"]
        assert list(answer["fields"]) == ["order", "product", "date", "wish"]
        assert answer["queue"] in QUEUES
        assert answer["fields"]["wish"] in WISHES
        for name in ("order", "product", "date"):
            value = answer["fields"][name]
            assert value is None or value in user["content"], (name, value)


def test_no_held_out_row_shares_a_run_of_eight_words_with_a_training_row(folder: Path, planted: set[int]) -> None:
    training = set().union(*(runs(text) for row in own_rows(folder, planted) for text in texts(row)))
    shared = {run for row in read(folder / "held-out.jsonl") for text in texts(row) for run in runs(text)} & training
    assert shared == set()


def test_every_queue_has_its_share_in_both_files(folder: Path, planted: set[int]) -> None:
    for rows in (own_rows(folder, planted), read(folder / "held-out.jsonl")):
        queues = [json.loads(row["messages"][1]["content"])["queue"] for row in rows]
        for queue in QUEUES:
            assert 0.08 < queues.count(queue) / len(queues) < 0.18, queue
