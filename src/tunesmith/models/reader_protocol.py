"""The interface that counts the tokens of a row for a base. Imports no model library, so that the audit can use it."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol

from pydantic import GetPydanticSchema
from pydantic_core.core_schema import any_schema

from tunesmith.artifacts import Example


class TokenCounts(NamedTuple):
    """Token counts of a row: its longest sequence, the trained tokens, and how many of each are beyond the window.

    `problem` says why the row cannot be trained on, in which case all counts are 0; empty if it can.
    """

    tokens: int = 0
    lost: int = 0
    trained: int = 0
    lost_trained: int = 0
    problem: str = ""


@dataclass(frozen=True)
class TokenBound:
    """A row has at most `added` + `times` x (ASCII bytes + `beyond` x other bytes) tokens."""

    added: int
    times: int
    beyond: int


class Reader(Protocol):
    """Counts tokens as training will. Its `repr` names base, context, task and objective."""

    @property
    def name(self) -> str:
        """The base as named in the recipe."""
        ...

    @property
    def window(self) -> int:
        """The most tokens that a row may have."""
        ...

    @property
    def controls(self) -> tuple[str, ...]:
        """Strings that no message may contain: special tokens and markers of the chat template."""
        ...

    @property
    def cuts_texts(self) -> bool:
        """Whether a plain text is cut into windows, so that nothing is lost and no chat template applies."""
        ...

    def bound(self, shape: Example) -> TokenBound:
        """The most tokens of any conversation with the roles, tool calls and tools of `shape`, whatever its texts.

        Raises DataError if the chat template rejects it.
        """
        ...

    def read(self, example: Example) -> TokenCounts:
        """Count the tokens of an example, with its tools, tool calls and weights."""
        ...


ReaderField = Annotated[Reader | None, GetPydanticSchema(lambda _source, _handler: any_schema())]
"""The type of a plugin's reader field. pydantic does not validate it: it is set by the program, never by a recipe."""
