"""Language: a row that is not in the language it should be in.

What it finds: prompts and completions in another language than the row or its source declares (`language`), or, where it
declares none, than the recipe's `allowed` languages. With `share`, and where neither says anything, also texts in another
language than at least that share of the file's prompts or completions are in, and completions in another language than their
prompt, where that is not the habit of the file. Without any of these it finds nothing; the report's profile counts languages
all the same. Each finding names the language and how sure the model is.
Why it matters: stray languages teach a model to switch languages on its users, and nobody who reads the rows may notice.
Limits: every text is judged by its beginning (English by small words in 160 characters, else by a model in 64), and what looks
foreign once more by 600 characters without code, addresses and numbers; a text that changes its language later on passes.
Texts with fewer than `letters` letters, and those of which the model is less than `confidence` sure, are never reported.
Prompts that ask for a translation or name a language are passed over. Dialects and languages of one macrolanguage count as
one, Danish and Norwegian too. Languages unknown to the model are not judged.
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
"""Characters of the second look."""

INSTRUCTION_CHARACTERS: Final = 200
"""Characters at either end of a prompt that may ask for a translation."""

MIN_HABIT_TEXTS: Final = 20
"""A file with fewer texts that can be judged has no habit."""

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
"""A prompt that asks for a translation, or names a language, may be answered in another."""


@CHECKS.register
@dataclass(frozen=True)
class Language:
    """One finding a row, of its prompt before its completion; `allowed` holds BCP 47 tags."""

    id: ClassVar[str] = "language"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    allowed: tuple[str, ...] = ()
    share: Annotated[float, Field(gt=0.5, le=1)] | None = None
    confidence: Annotated[float, Field(gt=0, le=1)] = 0.7
    letters: Annotated[int, Field(ge=20)] = 30

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if not (self.allowed or self.share or corpus.table.column("language").null_count < corpus.table.num_rows):
            return []
        rules = _ExpectedLanguages(self, corpus)
        findings: dict[int, Finding] = {}
        for side in SIDES:
            lines = [line for line in rules.suspects(side) if line not in findings]
            for line, reason in self._confirmed(corpus, side, lines, rules.wrong(side)):
                findings[line] = corpus.finding(self, corpus.table.column("row")[line].as_py(), reason)
        return [findings[line] for line in sorted(findings)]

    def _confirmed(
        self, corpus: AuditTable, side: str, lines: list[int], wrong: "Callable[[int, str], str]"
    ) -> Iterator[tuple[int, str]]:
        """(line, reason) of those that are still wrong at a second look."""
        if not lines:
            return
        table = corpus.table.select(list(SIDES)).take(pa.array(lines, type=pa.int64()))
        texts = [extract_prose(text) for text in table.column(side).to_pylist()]
        tags, sure = (
            array.to_pylist()
            for array in detect_languages(pa.array(texts, type=pa.string()), characters=SECOND_LOOK_CHARACTERS)
        )
        for place, line in enumerate(lines):
            enough = sum(map(str.isalpha, texts[place])) * (1 if texts[place].isascii() else 2) >= self.letters
            if not enough or tags[place] == UNDETERMINED or sure[place] < self.confidence:
                continue
            why = wrong(line, primary_language(tags[place]))
            if why and not _mentions_language(table.column("prompt")[place].as_py()):
                yield line, f"the {side} is in {tags[place]} (confidence {sure[place]:.2f}), {why}"


def _mentions_language(prompt: str) -> bool:
    """Whether a prompt's beginning or end, where the instruction stands, speaks of languages."""
    return (
        LANGUAGE_REQUEST.search(prompt[:INSTRUCTION_CHARACTERS]) is not None
        or LANGUAGE_REQUEST.search(prompt[-INSTRUCTION_CHARACTERS:]) is not None
    )


def extract_prose(text: str) -> str:
    """The text without code, markup, addresses and whatever holds a digit."""
    return " ".join(NON_PROSE.sub(" ", text[: 4 * SECOND_LOOK_CHARACTERS]).split())


class _ExpectedLanguages:
    """What language each text should be in; texts of a kind (file, declared, found on both sides) are judged together."""

    def __init__(self, check: Language, corpus: AuditTable) -> None:
        spoken = _combine_chunks(corpus.values(RowLanguage()))
        columns = {
            "file": _combine_chunks(corpus.table.column("file")),
            "declared": compute.fill_null(_combine_chunks(corpus.table.column("language")), ""),
            **{side: spoken.field(side) for side in SIDES},
        }
        self._share = check.share
        self._allowed = frozenset(primary_language(tag) for tag in check.allowed)
        self._known = supported_languages()
        keys = pa.table(columns).append_column("line", pa.array(range(len(spoken)), type=pa.int64()))
        kinds = keys.group_by(list(columns), use_threads=False).aggregate([("line", "count"), ("line", "list")])
        self._kinds = [
            (kind["file"], kind["declared"], (primary_language(kind["prompt"]), primary_language(kind["completion"])))
            for kind in kinds.select(list(columns)).to_pylist()
        ]
        self._counts: list[int] = kinds.column("line_count").to_pylist()
        self._lines = kinds.column("line_list")
        self._kind_of: dict[int, int] = {}
        self._habits = {side: self._majorities(side) for side in SIDES}
        self._mixed = self._mixed_files()

    def suspects(self, side: str) -> list[int]:
        """Lines whose text looks wrong at first sight, in order."""
        found: list[int] = []
        for number, (_, _, spoken) in enumerate(self._kinds):
            if self._why(number, side, spoken[SIDES.index(side)]):
                lines = self._lines[number].as_py()
                self._kind_of.update(dict.fromkeys(lines, number))
                found += lines
        return sorted(found)

    def wrong(self, side: str) -> "Callable[[int, str], str]":
        """Why a suspect is wrong when its text is in a language; empty when it is not."""
        return lambda line, tag: self._why(self._kind_of[line], side, tag)

    def _why(self, number: int, side: str, tag: str) -> str:
        file, declared, (prompt, _) = self._kinds[number]
        if tag == UNDETERMINED:
            return ""
        if primary_language(declared) in self._known:
            return f"its source declares {declared}" if tag != primary_language(declared) else ""
        if self._allowed:
            return "" if tag in self._allowed else f"the recipe allows {' and '.join(sorted(self._allowed))}"
        habit, part = self._habits[side].get(file, ("", 0.0))
        if habit:
            return f"{part:.0%} of the file's {side}s are in {habit}" if tag != habit else ""
        answered = self._share is not None and side == "completion" and file not in self._mixed
        return f"its prompt is in {prompt}" if answered and prompt not in (UNDETERMINED, tag) else ""

    def _majorities(self, side: str) -> Mapping[str, tuple[str, float]]:
        """By file the language of at least `share` of its texts that can be judged, and that share."""
        if self._share is None:
            return {}
        at = SIDES.index(side)
        counts: dict[str, Counter[str]] = {}
        for (file, _, spoken), count in zip(self._kinds, self._counts, strict=True):
            if spoken[at] != UNDETERMINED:
                counts.setdefault(file, Counter())[spoken[at]] += count
        tops = {file: (*found.most_common(1)[0], found.total()) for file, found in counts.items()}
        return {
            file: (tag, count / total)
            for file, (tag, count, total) in tops.items()
            if total >= MIN_HABIT_TEXTS and count >= self._share * total
        }

    def _mixed_files(self) -> frozenset[str]:
        """Files of which a tenth or more of the rows answer in another language than they are asked in."""
        counts: dict[str, Counter[bool]] = {}
        for (file, _, spoken), count in zip(self._kinds, self._counts, strict=True):
            if UNDETERMINED not in spoken:
                counts.setdefault(file, Counter())[spoken[0] != spoken[1]] += count
        return frozenset(
            file
            for file, found in counts.items()
            if found.total() >= MIN_HABIT_TEXTS and found[True] * 10 >= found.total()
        )


def _combine_chunks(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
