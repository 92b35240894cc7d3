"""Messages and examples without pydantic validation, for reading large files: the caller has checked the types.

Validation takes three times as long as reading the row itself. A test compares the results with validated ones.
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
"""Fields that keep their defaults, in order."""


def unchecked_message(role: Role, text: str) -> Message:
    """A message of one text part."""
    content = (_construct(Text, {"type": "text", "text": text}, _TEXT_FIELDS),)
    return _construct(Message, {"role": role, "content": content, **_MESSAGE_DEFAULTS}, _MESSAGE_FIELDS)


def unchecked_example(messages: tuple[Message, ...]) -> Example:
    """An example of messages alone."""
    return _construct(Example, {"messages": messages, **_EXAMPLE_DEFAULTS}, _EXAMPLE_FIELDS)


def _construct(kind: type[ArtifactType], values: dict[str, Any], fields_set: set[str]) -> ArtifactType:
    """Like `kind.model_construct`, without its loop over every field of the class."""
    instance = _new(kind)
    _set(instance, "__dict__", values)
    _set(instance, "__pydantic_fields_set__", fields_set)
    _set(instance, "__pydantic_extra__", None)
    _set(instance, "__pydantic_private__", None)
    return instance
