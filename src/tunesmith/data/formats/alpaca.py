"""Alpaca: an instruction, an optional input, and an output."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Example
from tunesmith.artifacts.unchecked import unchecked_example, unchecked_message
from tunesmith.data.format import FORMATS, Columns, Record, columns_read, optional_text, text_of
from tunesmith.errors import DataError


@FORMATS.register
@dataclass(frozen=True)
class Alpaca:
    """`{"instruction": "...", "input": "...", "output": "..."}`, with an optional `system`.

    The user message is the instruction, followed by an empty line and the input when there is one. Alpaca's own preamble is not
    added; set it as `task.instruction`.
    """

    id: ClassVar[str] = "alpaca"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("instruction", "output")
    optional: ClassVar[tuple[str, ...]] = ("input", "system")

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns)

    def read(self, record: Record, columns: Columns) -> Example:
        instruction, output = (text_of(record, columns, role) for role in self.roles)
        input_text, system = (optional_text(record, columns, role) for role in self.optional)
        if record.get("history"):
            raise DataError("the row has a `history`, which is not read", hint="write the turns as `messages`")
        user = unchecked_message("user", f"{instruction}\n\n{input_text}" if input_text else instruction)
        head = (unchecked_message("system", system),) if system else ()
        return unchecked_example((*head, user, unchecked_message("assistant", output)))
