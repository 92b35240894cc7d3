"""Language: a row that is not in the expected language.

What it finds: prompts and completions in a language other than the one their row or source declares (`language`), or, when
none is declared, other than the recipe's `allowed` languages. With `share`, and where neither applies, also texts in a language
other than the one at least that share of the file's prompts or completions are in, and completions in a language other than
their prompt's where that is unusual in the file. With none of these set it finds nothing; the report's profile still counts
languages. Each finding names the language and the model's confidence.
Why it matters: stray languages teach a model to switch languages unexpectedly, and a reviewer may not notice them.
Limits: each text is judged by its beginning (English by common words in 160 characters, otherwise by a model in 64), and
texts that look foreign again by 600 characters without code, addresses and numbers; a language change later in a text is
missed. Texts with fewer than `letters` letters, or a confidence below `confidence`, are never reported. Prompts that ask for a
translation or name a language are skipped. Dialects, and languages of one macrolanguage, count as one; so do Danish and
Norwegian. Languages unknown to the model are not judged.
Reference: Joulin et al. 2016, Bag of Tricks for Efficient Text Classification, arXiv:1607.01759; BCP 47 (RFC 5646); Caswell et
al. 2020, Language ID in the Wild, arXiv:2010.14571.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.audit.row_language import SIDES, RowLanguage
from tunesmith.detect.language import UNDETERMINED, detect_languages, primary_language, supported_languages

SECOND_LOOK_CHARACTERS: Final = 600
"""Number of characters examined to confirm a suspect."""

INSTRUCTION_CHARACTERS: Final = 200
"""Number of characters at each end of a prompt searched for a translation request."""

MIN_HABIT_TEXTS: Final = 20
"""Minimum number of judged texts for a file to have a usual language."""

NON_PROSE: Final = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]+`|<[^<>\n]{1,200}>|\S*(?:://|www\.|@)\S*|\S*[\d_=\\{}/]\S*", re.DOTALL
)
LANGUAGE_REQUEST: Final = re.compile(
    r"translat|übersetz|tradu[czi]|перевед|перевод|翻[译訳譯]|vertaal|"
    r"\b(?:english|german|french|spanish|italian|portuguese|dutch|polish|russian|chinese|japanese|korean|arabic|turkish|hindi|"
    r"latin|greek|swedish|danish|norwegian|finnish|czech|ukrainian|hebrew|vietnamese|"
    r"deutsch\w*|englisch\w*|französisch\w*|spanisch\w*|italienisch\w*|français\w*|anglais\w*|allemand\w*|"
    r"inglés|inglese|alemán|francés|español|italiano|tedesco|francese|português)\b",
    re.IGNORECASE,
)
"""A prompt that asks for a translation or names a language may be answered in another language."""


@CHECKS.register
@dataclass(frozen=True)
class Language:
    """One finding per row, about its prompt or else its completion; `allowed` holds BCP 47 tags."""

    id: ClassVar[str] = "language"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    allowed: tuple[str, ...] = ()
    share: Annotated[float, Field(gt=0.5, le=1)] | None = None
    confidence: Annotated[float, Field(gt=0, le=1)] = 0.7
    letters: Annotated[int, Field(ge=20)] = 30

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if not (self.allowed or self.share or corpus.rows.column("language").null_count < corpus.rows.num_rows):
            return []
        expected = _ExpectedLanguages(self, corpus)
        findings: dict[int, Finding] = {}
        for side in SIDES:
            lines = [line for line in expected.suspects(side) if line not in findings]
            for line, reason in self._confirm(corpus, side, lines, expected.reason_for(side)):
                findings[line] = corpus.finding(self, corpus.rows.column("row")[line].as_py(), reason)
        return [findings[line] for line in sorted(findings)]

    def _confirm(
        self, corpus: AuditTable, side: str, lines: list[int], reason_for: "Callable[[int, str], str]"
    ) -> Iterator[tuple[int, str]]:
        """(line, reason) of the suspects that a longer look confirms."""
        if not lines:
            return
        table = corpus.rows.select(list(SIDES)).take(pa.array(lines, type=pa.int64()))
        texts = [extract_prose(text) for text in table.column(side).to_pylist()]
        tags, confidences = (
            array.to_pylist()
            for array in detect_languages(pa.array(texts, type=pa.string()), characters=SECOND_LOOK_CHARACTERS)
        )
        for number, line in enumerate(lines):
            enough = sum(map(str.isalpha, texts[number])) * (1 if texts[number].isascii() else 2) >= self.letters
            if not enough or tags[number] == UNDETERMINED or confidences[number] < self.confidence:
                continue
            reason = reason_for(line, primary_language(tags[number]))
            if reason and not _mentions_language(table.column("prompt")[number].as_py()):
                yield line, f"the {side} is in {tags[number]} (confidence {confidences[number]:.2f}), {reason}"


def _mentions_language(prompt: str) -> bool:
    """Whether the beginning or end of a prompt mentions a language or a translation."""
    return (
        LANGUAGE_REQUEST.search(prompt[:INSTRUCTION_CHARACTERS]) is not None
        or LANGUAGE_REQUEST.search(prompt[-INSTRUCTION_CHARACTERS:]) is not None
    )


def extract_prose(text: str) -> str:
    """The text without code, markup, addresses and words with digits."""
    return " ".join(NON_PROSE.sub(" ", text[: 4 * SECOND_LOOK_CHARACTERS]).split())


class _ExpectedLanguages:
    """The expected language of each text. Rows with equal file, declared language and detected languages are judged together."""

    def __init__(self, check: Language, corpus: AuditTable) -> None:
        languages = _combine_chunks(corpus.values(RowLanguage()))
        columns = {
            "file": _combine_chunks(corpus.rows.column("file")),
            "declared": compute.fill_null(_combine_chunks(corpus.rows.column("language")), ""),
            **{side: languages.field(side) for side in SIDES},
        }
        self._share = check.share
        self._allowed = frozenset(primary_language(tag) for tag in check.allowed)
        self._known = supported_languages()
        keys = pa.table(columns).append_column("line", pa.array(range(len(languages)), type=pa.int64()))
        groups = keys.group_by(list(columns), use_threads=False).aggregate([("line", "count"), ("line", "list")])
        self._groups = [
            (
                group["file"],
                group["declared"],
                (primary_language(group["prompt"]), primary_language(group["completion"])),
            )
            for group in groups.select(list(columns)).to_pylist()
        ]
        self._counts: list[int] = groups.column("line_count").to_pylist()
        self._lines = groups.column("line_list")
        self._group_of: dict[int, int] = {}
        self._habits = {side: self._majorities(side) for side in SIDES}
        self._mixed = self._mixed_files()

    def suspects(self, side: str) -> list[int]:
        """Lines whose text is in an unexpected language at first sight, in order."""
        suspects: list[int] = []
        for number, (_, _, languages) in enumerate(self._groups):
            if self._reason(number, side, languages[SIDES.index(side)]):
                lines = self._lines[number].as_py()
                self._group_of.update(dict.fromkeys(lines, number))
                suspects += lines
        return sorted(suspects)

    def reason_for(self, side: str) -> "Callable[[int, str], str]":
        """A function of a suspect's line and language tag that returns why the language is unexpected, or ""."""
        return lambda line, tag: self._reason(self._group_of[line], side, tag)

    def _reason(self, number: int, side: str, tag: str) -> str:
        file, declared, (prompt, _) = self._groups[number]
        if tag == UNDETERMINED:
            return ""
        if primary_language(declared) in self._known:
            return f"its source declares {declared}" if tag != primary_language(declared) else ""
        if self._allowed:
            return "" if tag in self._allowed else f"the recipe allows {' and '.join(sorted(self._allowed))}"
        habit, part = self._habits[side].get(file, ("", 0.0))
        if habit:
            return f"{part:.0%} of the file's {side}s are in {habit}" if tag != habit else ""
        compare_to_prompt = self._share is not None and side == "completion" and file not in self._mixed
        return f"its prompt is in {prompt}" if compare_to_prompt and prompt not in (UNDETERMINED, tag) else ""

    def _majorities(self, side: str) -> Mapping[str, tuple[str, float]]:
        """(language, share) by file, for files with one language in at least `share` of their judged texts."""
        if self._share is None:
            return {}
        side_index = SIDES.index(side)
        counts: dict[str, Counter[str]] = {}
        for (file, _, languages), count in zip(self._groups, self._counts, strict=True):
            if languages[side_index] != UNDETERMINED:
                counts.setdefault(file, Counter())[languages[side_index]] += count
        tops = {file: (*tags.most_common(1)[0], tags.total()) for file, tags in counts.items()}
        return {
            file: (tag, count / total)
            for file, (tag, count, total) in tops.items()
            if total >= MIN_HABIT_TEXTS and count >= self._share * total
        }

    def _mixed_files(self) -> frozenset[str]:
        """Files in which at least a tenth of the rows answer in a language other than the prompt's."""
        counts: dict[str, Counter[bool]] = {}
        for (file, _, languages), count in zip(self._groups, self._counts, strict=True):
            if UNDETERMINED not in languages:
                counts.setdefault(file, Counter())[languages[0] != languages[1]] += count
        return frozenset(
            file
            for file, differs in counts.items()
            if differs.total() >= MIN_HABIT_TEXTS and differs[True] * 10 >= differs.total()
        )


def _combine_chunks(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
