"""Reading: what a row is to a base, as tokens. Nothing heavy is imported here, so that the audit can speak of it."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol

from pydantic import GetPydanticSchema
from pydantic_core.core_schema import any_schema

from tunesmith.artifacts import Example


class TokenCounts(NamedTuple):
    """A conversation in tokens: the longest of its sequences, how many are trained, and how many of each lie behind the window.

    `problem` says why it cannot be trained, empty when it can; all numbers are 0 then.
    """

    tokens: int = 0
    lost: int = 0
    trained: int = 0
    lost_trained: int = 0
    problem: str = ""


@dataclass(frozen=True)
class TokenBound:
    """A conversation has at most `added` + `times` x (bytes of ASCII + `beyond` x other bytes) tokens."""

    added: int
    times: int
    beyond: int


class Reader(Protocol):
    """Reads conversations as training will. Its `repr` names the base, the context, the task and what is trained."""

    @property
    def name(self) -> str:
        """The base, as the recipe names it."""
        ...

    @property
    def window(self) -> int:
        """Tokens that a row may have."""
        ...

    @property
    def controls(self) -> tuple[str, ...]:
        """What no message may spell: special tokens and markers of the chat template."""
        ...

    @property
    def cuts_texts(self) -> bool:
        """Whether a plain text is cut into windows, with nothing lost and no chat template."""
        ...

    def bound(self, shape: Example) -> TokenBound:
        """How many tokens a conversation can have that has the roles, calls and tools of `shape` and other texts.

        Raises DataError when the template refuses it.
        """
        ...

    def read(self, example: Example) -> TokenCounts:
        """The tokens of a conversation, with its tools, calls and weights."""
        ...


ReaderField = Annotated[Reader | None, GetPydanticSchema(lambda _source, _handler: any_schema())]
"""As the field of a plugin, whose other fields pydantic validates; this one is made here and never read from a recipe."""
