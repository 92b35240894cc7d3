"""Tagged tokens: words with one tag each, as in named-entity recognition and CoNLL files."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.artifacts import Example
from tunesmith.data.format import FORMATS, Columns, Record, columns_read, json_type_name, value_of
from tunesmith.errors import DataError


@FORMATS.register
@dataclass(frozen=True)
class TaggedTokens:
    """`{"tokens": ["Empire", "State"], "tags": ["B-location", "I-location"]}`, or a `.conll` file.

    The text is the tokens joined by spaces; the completion is the tags joined by spaces. An integer tag becomes its digits.
    Tokens and tags must not be empty, and tags must not contain spaces.
    """

    id: ClassVar[str] = "tagged-tokens"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("tokens", "tags")
    optional: ClassVar[tuple[str, ...]] = ()

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns)

    def read(self, record: Record, columns: Columns) -> Example:
        tokens = _read_words(*value_of(record, columns, "tokens"))
        column, value = value_of(record, columns, "tags")
        numbers = isinstance(value, list) and all(isinstance(tag, int) and not isinstance(tag, bool) for tag in value)
        tags = _read_words(column, [str(tag) for tag in value] if numbers else value)
        if len(tokens) != len(tags):
            raise DataError(f"{len(tokens)} tokens, but {len(tags)} tags")
        if spaced := next((tag for tag in tags if len(tag.split()) > 1), None):
            raise DataError(f"the tag {spaced!r} holds a space")
        return Example(text=" ".join(tokens), tokens=tokens, tags=tags)


def _read_words(column: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise DataError(f"the column {column!r} must hold a list that is not empty, found {json_type_name(value)}")
    for word in value:
        if not isinstance(word, str) or not word:
            kind = "an empty one" if word == "" else json_type_name(word)
            raise DataError(f"the column {column!r} must hold a list of words, found {kind}")
    return tuple(value)
