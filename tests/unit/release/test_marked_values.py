"""Marks: measured, declared or missing, by JSON Pointer."""

from tunesmith.release.cards.marked_values import MISSING, MarkedValue, declared, measured, separate_marks


def test_marks_of_a_small_tree() -> None:
    tree = {"a": measured(1), "b": [{"c/d": declared(" x ")}, {"e": declared(" ")}], "f": MISSING, "g": "structure"}
    assert separate_marks(tree) == (
        {"a": 1, "b": [{"c/d": "x"}, {}], "g": "structure"},
        {"/a": "measured", "/b/0/c~1d": "declared", "/b/1/e": "missing", "/f": "missing"},
    )
    assert declared(0) == MarkedValue(0, "declared") and declared([]) is MISSING and declared(None) is MISSING
