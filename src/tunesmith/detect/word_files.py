"""Word files: the words and expressions that detectors look for, as YAML, one file per language. README.md describes them."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from tunesmith.errors import Misuse

FOLDER: Final = Path(__file__).parent
FIRST_LANGUAGE: Final = "en"
"""Read before the others, which follow in the order of their tags: where two entries match, the earlier one counts."""
PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
LANGUAGE_TAG: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
LOADER: Final = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Builds text, lists and mappings only, so that words such as `no` and `on` need no quotes. In C where PyYAML has libyaml."""


def _without_line_breaks(value: object) -> object:
    return value.replace("\n", "") if isinstance(value, str) else value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _check_expression(value: str) -> str:
    """Compile an expression, with a letter for each `{name}`, so that a fault is reported with its file and field."""
    if not value.isalpha():
        try:
            re.compile(PLACEHOLDER.sub("x", value))
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}: {value!r}") from error
    return value


Expression = Annotated[str, BeforeValidator(_without_line_breaks), AfterValidator(_check_expression)]
"""A regular expression; in the file it may run over several lines."""
Alternative = Annotated[
    str, StringConstraints(min_length=1), BeforeValidator(_without_line_breaks), AfterValidator(_check_expression)
]
Alternatives = Annotated[tuple[Alternative, ...], BeforeValidator(_as_list)]
"""Expressions of which any one matches: a list, or a single one."""
Parts = Annotated[dict[str, Expression | tuple[Expression, ...]], Field(default_factory=dict)]
"""Named parts that other expressions refer to as `{name}`; a list is an alternation."""
WordLists = Annotated[dict[str, Alternatives], Field(default_factory=dict)]
"""Alternatives by name."""


class WordFile(BaseModel):
    """Head of every word file: where its words come from, and when they were last reviewed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, StringConstraints(min_length=1)]
    date: date


AnyWordFile = TypeVar("AnyWordFile", bound=WordFile)


def read_word_file(path: Path, model: type[AnyWordFile]) -> AnyWordFile:
    """The validated content of one file. Raises Misuse with the path, the field and what is wrong with it."""
    try:
        return model.model_validate(LOADER(path.read_text(encoding="utf-8")).get_single_data())
    except yaml.YAMLError as error:
        raise Misuse(f"not valid YAML: {error}", where=str(path)) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        hint = f"keys of this file: {', '.join(model.model_fields)}"
        raise Misuse(f"{field}: {first['msg']}", where=str(path), hint=hint) from error


def read_languages(folder: Path, model: type[AnyWordFile]) -> dict[str, AnyWordFile]:
    """The files of a folder by language tag, English first. Raises Misuse for a file that is not named after a language."""
    paths = {path.stem: path for path in folder.glob("*.yaml")}
    for tag, path in paths.items():
        if not LANGUAGE_TAG.fullmatch(tag):
            raise Misuse(
                "the name is no language tag", where=str(path), hint="name the file after its language, as in de.yaml"
            )
    order = sorted(paths, key=lambda tag: (tag != FIRST_LANGUAGE, tag))
    return {tag: read_word_file(paths[tag], model) for tag in order}


def merge_languages(folder: Path, model: type[AnyWordFile]) -> AnyWordFile:
    """One file of all languages: their lists joined, in mappings those of each key; all else is the first file's."""
    first, *others = read_languages(folder, model).values()
    merged = dict(first)
    for name, value in merged.items():
        if isinstance(value, tuple):
            merged[name] = _join([value, *(getattr(other, name) for other in others)])
        elif isinstance(value, dict):
            merged[name] = join_by_key([value, *(getattr(other, name) for other in others)])
    return first.model_copy(update=merged)


def join_by_key(mappings: Iterable[Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """For each key its lists, one after the other, without repeats."""
    lists: dict[str, list[tuple[str, ...]]] = {}
    for mapping in mappings:
        for key, words in mapping.items():
            lists.setdefault(key, []).append(words)
    return {key: _join(parts) for key, parts in lists.items()}


def _join(lists: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def fill_parts(expression: str, parts: Mapping[str, str | tuple[str, ...]]) -> str:
    """The expression with its `{name}` filled in, and those of the parts too. Raises Misuse for a name without a part."""

    def part(reference: re.Match[str]) -> str:
        name = reference[1]
        if name not in parts:
            raise Misuse(f"no part named {name!r}; there are: {', '.join(sorted(parts))}")
        value = parts[name]
        return fill_parts(value if isinstance(value, str) else alternation(value), parts)

    return PLACEHOLDER.sub(part, expression)


def alternation(expressions: Iterable[str]) -> str:
    """An expression for any of the expressions."""
    return f"(?:{'|'.join(expressions)})"
