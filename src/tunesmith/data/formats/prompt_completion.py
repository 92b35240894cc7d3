"""Prompt and completion: two texts, or two lists of messages."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.artifacts import Example, Message
from tunesmith.artifacts.unchecked import unchecked_example, unchecked_message
from tunesmith.data.format import FORMATS, Columns, PlainMessages, Record, columns_read, text_of, value_of
from tunesmith.data.message_fields import read_messages, read_tools
from tunesmith.errors import DataError


@FORMATS.register
@dataclass(frozen=True)
class PromptCompletion:
    """`{"prompt": "...", "completion": "..."}`: a user message and an assistant message.

    Both may be lists of messages, as in TRL. The completion then ends with an assistant message, and only its messages are
    trained: assistant messages of the prompt get the weight 0.
    """

    id: ClassVar[str] = "prompt-completion"
    version: ClassVar[str] = "2"
    roles: ClassVar[tuple[str, ...]] = ("prompt", "completion")
    optional: ClassVar[tuple[str, ...]] = ("tools",)

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns)

    def plain_messages(self, record: Record, columns: Columns) -> PlainMessages | None:
        prompt, completion = (record.get(columns.get(role, role)) for role in self.roles)
        if type(prompt) is not str or type(completion) is not str:
            return None
        return [(prompt, "user"), (completion, "assistant")]

    def read(self, record: Record, columns: Columns) -> Example:
        (_, before), (_, after) = (value_of(record, columns, role) for role in self.roles)
        if isinstance(before, list) and isinstance(after, list):
            tools = columns.get("tools", "tools")
            return Example(messages=_join_messages(before, after), tools=read_tools(record.get(tools), tools))
        if isinstance(before, list) != isinstance(after, list):
            raise DataError("prompt and completion must both be text, or both lists of messages")
        prompt, completion = (text_of(record, columns, role) for role in self.roles)
        return unchecked_example((unchecked_message("user", prompt), unchecked_message("assistant", completion)))


def _join_messages(before: list[Any], after: list[Any]) -> tuple[Message, ...]:
    prompt, completion = read_messages(before, "prompt"), read_messages(after, "completion")
    if completion[-1].role != "assistant":
        raise DataError("the last message of the completion must be the assistant's")
    untrained = (turn.model_copy(update={"weight": 0.0}) if turn.role == "assistant" else turn for turn in prompt)
    return (*untrained, *completion)
