"""What is made without validation is what the classes make of the same values, in every respect that can be seen."""

from tunesmith.artifacts import Artifact, Example, Message, Text
from tunesmith.artifacts.unchecked import unchecked_example, unchecked_message


def same(fast: Artifact, checked: Artifact) -> None:
    assert fast == checked
    assert type(fast) is type(checked)
    assert fast.canonical() == checked.canonical()
    assert fast.model_dump() == checked.model_dump()
    assert list(fast.__dict__) == list(checked.__dict__)
    assert fast.model_fields_set == checked.model_fields_set
    assert (hash(fast), repr(fast)) == (hash(checked), repr(checked))
    assert fast.model_copy() == checked
    assert type(checked).model_validate(fast.model_dump()) == checked


def test_message_and_example() -> None:
    turns = tuple(unchecked_message(role, f"a {role}") for role in ("system", "user", "assistant", "tool"))
    for turn in turns:
        same(turn, Message(role=turn.role, content=(Text(text=f"a {turn.role}"),)))
        same(turn.content[0], Text(text=f"a {turn.role}"))
    same(unchecked_example(turns), Example(messages=turns))
    same(unchecked_example(()), Example(messages=()))


def test_a_changed_copy_leaves_the_shared_field_names_alone() -> None:
    first = unchecked_message("user", "a")
    first.model_copy(update={"weight": 0.5})
    assert unchecked_message("user", "b").model_fields_set == {"role", "content"}
