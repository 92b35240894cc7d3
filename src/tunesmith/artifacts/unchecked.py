"""Messages and examples from values whose types the caller has checked, for the reading of large files.

Validation by pydantic takes three times as long as the reading of the row itself. A test holds what is made here against what
the classes make of the same values.
"""

from typing import Any, Final, TypeVar

from tunesmith.artifacts.base import Artifact
from tunesmith.artifacts.example import Example, Message, Role, Text

A = TypeVar("A", bound=Artifact)

_new: Final = object.__new__
_set: Final = object.__setattr__
_TEXT: Final = {"text"}
_TURN: Final = {"role", "content"}
_CHAT: Final = {"messages"}
_TURN_REST: Final = {name: field.default for name, field in Message.model_fields.items() if name not in _TURN}
_CHAT_REST: Final = {name: field.default for name, field in Example.model_fields.items() if name not in _CHAT}
"""Fields that are left at their defaults, in order."""


def plain_message(role: Role, text: str) -> Message:
    """A message of one text part."""
    content = (_made(Text, {"type": "text", "text": text}, _TEXT),)
    return _made(Message, {"role": role, "content": content, **_TURN_REST}, _TURN)


def conversation(messages: tuple[Message, ...]) -> Example:
    """An example of messages alone."""
    return _made(Example, {"messages": messages, **_CHAT_REST}, _CHAT)


def _made(kind: type[A], values: dict[str, Any], given: set[str]) -> A:
    """What `kind.model_construct` gives, which looks at every field of the class each time."""
    made = _new(kind)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", given)
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made
