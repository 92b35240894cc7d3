"""Planted label errors in hand-made rows are found with their right class."""

from typing import Any

import numpy

from tunesmith.artifacts import Example, Row
from tunesmith.audit.checks.label_error import LabelError, confident_joint_labels, likely_labels
from tunesmith.audit.corpus_builder import build_corpus

ASKED = {
    "delivery": (
        "where is my parcel",
        "the parcel has not come",
        "when will you deliver",
        "the driver left the parcel",
    ),
    "refund": ("I want my money back", "please pay the money back", "refund my card", "the refund is too small"),
    "opening": ("are you open on Sunday", "when does the shop open", "is the shop open now", "until when are you open"),
}
ENDINGS = ("", " please", " today", " tell me", " I ask", " hello")
WRONG = {3: "refund", 20: "opening", 31: "delivery", 40: "opening", 61: "refund"}
"""Wrong labels by line (from 0)."""


def rows() -> tuple[list[Row], list[str]]:
    """72 rows with the labels that they should have."""
    lines = [(text + end, label) for label, texts in ASKED.items() for text in texts for end in ENDINGS]
    made = [
        Row(
            row_id=f"{at:016x}",
            file="rows.jsonl",
            line=at + 1,
            example=Example(text=text, labels=(WRONG.get(at, label),)),
        )
        for at, (text, label) in enumerate(lines)
    ]
    return made, [label for _, label in lines]


def test_flipped_labels_are_found() -> None:
    made, right = rows()
    found = {one.place.line - 1: one for one in LabelError().examine(build_corpus(made, []))}
    assert set(WRONG) <= set(found) and len(found) <= 2 * len(WRONG)
    for at, wrong in WRONG.items():
        one = found[at]
        assert one.reason.startswith(f"labelled {wrong!r} (") and f"likely {right[at]!r} (" in one.reason
        assert one.other is not None and right[one.other.line - 1] == right[at] and one.other.line - 1 not in WRONG


def test_suspects_are_the_least_probable_labels_as_many_as_the_joint_counts() -> None:
    """Thresholds 0.6, 0.617 and 0.8: row 2 alone is off the diagonal, and row 4 has the least probable label."""
    labels: Any = numpy.array([0, 0, 0, 1, 1, 1, 2])
    chances: Any = numpy.array(
        [
            [0.9, 0.1, 0],
            [0.6, 0.4, 0],
            [0.3, 0.7, 0],
            [0.05, 0.95, 0],
            [0.45, 0.2, 0.35],
            [0.3, 0.7, 0],
            [0.1, 0.1, 0.8],
        ]
    )
    assert confident_joint_labels(labels, chances).tolist() == [0, 0, 1, 1, 1, 1, 2]
    assert likely_labels(labels, chances).tolist() == [0, 0, 0, 1, 0, 1, 2]


def test_a_row_whose_label_is_the_most_probable_is_no_suspect() -> None:
    """Row 1 is off the diagonal, and row 3 has the least probable label, which no other class outdoes."""
    labels: Any = numpy.array([0, 0, 1, 1, 2])
    chances: Any = numpy.array([[0.9, 0.1, 0], [0.45, 0.55, 0], [0.3, 0.7, 0], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8]])
    assert confident_joint_labels(labels, chances).tolist() == [0, 1, 1, 1, 2]
    assert likely_labels(labels, chances).tolist() == labels.tolist()
