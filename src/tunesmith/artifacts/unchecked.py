"""Messages and examples from values whose types the caller has checked, for the reading of large files.

Validation by pydantic takes three times as long as the reading of the row itself. A test holds what is made here against what
the classes make of the same values.
"""

from typing import Any, Final, TypeVar

from tunesmith.artifacts.base import Artifact
from tunesmith.artifacts.example import Example, Message, Role, Text

ArtifactType = TypeVar("ArtifactType", bound=Artifact)

_new: Final = object.__new__
_set: Final = object.__setattr__
_TEXT_FIELDS: Final = {"text"}
_MESSAGE_FIELDS: Final = {"role", "content"}
_EXAMPLE_FIELDS: Final = {"messages"}
_MESSAGE_DEFAULTS: Final = {
    name: field.default for name, field in Message.model_fields.items() if name not in _MESSAGE_FIELDS
}
_EXAMPLE_DEFAULTS: Final = {
    name: field.default for name, field in Example.model_fields.items() if name not in _EXAMPLE_FIELDS
}
"""Fields that are left at their defaults, in order."""


def unchecked_message(role: Role, text: str) -> Message:
    """A message of one text part."""
    content = (_construct(Text, {"type": "text", "text": text}, _TEXT_FIELDS),)
    return _construct(Message, {"role": role, "content": content, **_MESSAGE_DEFAULTS}, _MESSAGE_FIELDS)


def unchecked_example(messages: tuple[Message, ...]) -> Example:
    """An example of messages alone."""
    return _construct(Example, {"messages": messages, **_EXAMPLE_DEFAULTS}, _EXAMPLE_FIELDS)


def _construct(kind: type[ArtifactType], values: dict[str, Any], given: set[str]) -> ArtifactType:
    """What `kind.model_construct` gives, which looks at every field of the class each time."""
    made = _new(kind)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", given)
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made
