"""Injection rules of all languages, read from `rules/*.yaml` and `shared_rules.yaml`."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from tunesmith.detect.injection.rule import InjectionKind, InjectionRule
from tunesmith.detect.word_files import (
    FOLDER,
    PLACEHOLDER,
    Expression,
    Parts,
    WordFile,
    WordLists,
    alternation,
    fill_parts,
    join_by_key,
    read_languages,
    read_word_file,
)
from tunesmith.errors import Misuse

INJECTION_FOLDER: Final = FOLDER / "injection"


class RuleEntry(BaseModel):
    """An `InjectionRule` as it stands in a file: its expressions may have `{name}` for a part or a word list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: InjectionKind
    before: Expression = ""
    anchor: Expression
    after: Expression = ""
    also: Expression = ""
    embedded: bool = False
    to_model: bool = False


class SharedRules(WordFile):
    """Rules for all languages, made of their word lists."""

    rules: tuple[RuleEntry, ...]


class LanguageRules(WordFile):
    """One language: words for the shared rules, and rules of its own with parts of its own."""

    words: WordLists
    parts: Parts
    rules: tuple[RuleEntry, ...] = ()


@cache
def load_rules(folder: Path = INJECTION_FOLDER) -> tuple[InjectionRule, ...]:
    """The rules of each language, then the shared ones. Raises Misuse for a word list that no shared rule refers to."""
    shared = read_word_file(folder / "shared_rules.yaml", SharedRules)
    words = word_lists(folder)
    used = {name for entry in shared.rules for name in _references(entry)}
    if unused := sorted(words.keys() - used):
        near = get_close_matches(unused[0], sorted(used), n=1)
        suggestion = f"did you mean {near[0]!r}? " if near else ""
        hint = f"{suggestion}The rules use {', '.join(sorted(used))}"
        raise Misuse(f"no shared rule uses the words {unused[0]!r}", where=str(folder / "rules"), hint=hint)
    own = [
        _rule(entry, file.parts)
        for file in read_languages(folder / "rules", LanguageRules).values()
        for entry in file.rules
    ]
    return (*own, *(_rule(entry, words) for entry in shared.rules))


@cache
def word_lists(folder: Path = INJECTION_FOLDER) -> dict[str, tuple[str, ...]]:
    """The words of all languages by list."""
    return join_by_key(file.words for file in read_languages(folder / "rules", LanguageRules).values())


def any_word(name: str) -> str:
    """An expression for any word of a list, in any language."""
    return alternation(word_lists()[name])


def _references(entry: RuleEntry) -> Iterator[str]:
    for expression in (entry.before, entry.anchor, entry.after, entry.also):
        yield from PLACEHOLDER.findall(expression)


def _rule(entry: RuleEntry, parts: Mapping[str, str | tuple[str, ...]]) -> InjectionRule:
    expressions = {name: fill_parts(getattr(entry, name), parts) for name in ("before", "anchor", "after", "also")}
    return InjectionRule(kind=entry.kind, embedded=entry.embedded, to_model=entry.to_model, **expressions)
