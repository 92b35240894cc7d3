"""Prefilter: for each pattern a gate, an RE2 expression that matches every text with a hit. `scan` looks for all gates at once.

Each step from a pattern's expression to its gate can only let more texts through, so the gate matches a superset:

1. Assertions and upper bounds are dropped.
2. The expression is cut where anything may stand between two pieces, and at word edges, which stay. One piece is kept.
3. What is optional at the ends of that piece is dropped, and so are letters before a sign such as @.
4. A repeat at an end keeps its first or last few characters.

Cuts and short ends keep the automaton small: it need not count the letters of a word, nor remember a cue. Each of its
states combines how far each gate has matched.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from tunesmith.detect.patterns.pattern import Pattern

ASSERTION: Final = re.compile(r"\(\?<?[=!](?:\[[^\]]*\]|[^()\[\]])*\)|\\b")
"""Look-around without groups inside, or a word boundary."""
QUANTIFIER: Final = re.compile(r"(?:[?*+]|\{(\d+)(?:,\d*)?\})\??")
WORD_START: Final = "(?:^|[^A-Za-z])"
WORD_END: Final = "(?:[^A-Za-z]|$)"
"""The edges of a word, in place of assertions that no letter is there. Each takes a character, or none at an end of the text."""
LOWERCASE_LETTERS: Final = re.compile(r"a-|[a-z]{2}")
"""Matches inside a character class with lower-case letters."""
SIGN_ATOM: Final = re.compile(r"[^\[(\\A-Za-z0-9 ]|\\[^A-Za-z0-9]")
DIGIT_ATOM: Final = re.compile(r"[0-9]|\[(?:[0-9](?:-[0-9])?)+\]")
"""An atom that is a sign; an atom that is a digit."""
SELECTIVE_PIECE: Final = re.compile(r"\[0-9\]\{\d+,?\}\\\.|^@")
MAX_LEADING_LETTERS: Final = 2
MAX_TRAILING_LETTERS: Final = 16
MAX_REPEATED_OTHERS: Final = 10
"""How many characters of a repeat are kept: of a class with lower-case letters at the beginning and at the end of a piece, and of
other classes."""


class RegexItem(NamedTuple):
    """One part of an expression: at least `least` repeats of `atom`, or just as many if `exact`."""

    atom: str
    least: int
    exact: bool

    def __str__(self) -> str:
        if self.exact:
            return self.atom if self.least == 1 else f"{self.atom}{{{self.least}}}"
        return f"{self.atom}*" if self.least == 0 else f"{self.atom}{{{self.least},}}"


def prefilter_regex(pattern: Pattern) -> str:
    """The gate of a pattern, in RE2 syntax. Raises ValueError when the expression cannot be cut safely."""
    pieces: list[list[RegexItem]] = [[]]
    for item in _parse_items(without_assertions(pattern.regex)):
        anything = item.least == 0 and item.atom.startswith("[^")
        if anything or item.atom == WORD_START:
            pieces.append([])
        if not anything:
            pieces[-1].append(item)
        if item.atom == WORD_END:
            pieces.append([])
    return "".join(map(str, _most_selective([short for piece in pieces if (short := _shorten_ends(piece))])))


def needs_digit(pattern: Pattern) -> bool:
    """Whether every hit has an ASCII digit: a required item of the expression matches nothing else."""
    return any(
        item.least and DIGIT_ATOM.fullmatch(item.atom) for item in _parse_items(without_assertions(pattern.regex))
    )


def any_prefilter_regex(gates: Sequence[str]) -> str:
    """An expression that matches any of the gates, with the word edges factored out.

    Factoring keeps the automaton small: with an edge in each gate, every state would track each of them.
    """
    within, behind = [], []
    for gate in gates:
        cue = gate.removeprefix(WORD_START)
        if gate.startswith(WORD_START) and cue.endswith(WORD_END):
            within.append(cue.removesuffix(WORD_END))
        elif gate.startswith(WORD_START):
            behind.append(cue)
    other = [gate for gate in gates if not gate.startswith(WORD_START)]
    cues = [*([f"{_alternation(within)}{WORD_END}"] if within else []), *behind]
    return "|".join([*([f"{WORD_START}{_alternation(cues)}"] if cues else []), *other])


def _alternation(expressions: Sequence[str]) -> str:
    return f"(?:{'|'.join(expressions)})"


def _most_selective(pieces: list[list[RegexItem]]) -> list[RegexItem]:
    """The piece that fewest ordinary texts have: a value with an @ or with points between digits, else the first piece, a cue."""
    return next((piece for piece in pieces if SELECTIVE_PIECE.search("".join(map(str, piece)))), pieces[0])


def _shorten_ends(piece: list[RegexItem]) -> list[RegexItem]:
    return _shorten_start(
        _shorten_start(_drop_leading_letters(piece), MAX_LEADING_LETTERS)[::-1], MAX_TRAILING_LETTERS
    )[::-1]


def _drop_leading_letters(piece: list[RegexItem]) -> list[RegexItem]:
    """A piece without the letters before its first sign: the automaton need not track them."""
    first = next((number for number, item in enumerate(piece) if not _is_letter_class(item.atom)), 0)
    return piece[first:] if first and piece[first].least and SIGN_ATOM.fullmatch(piece[first].atom) else piece


def _is_letter_class(atom: str) -> bool:
    return atom.startswith("[") and LOWERCASE_LETTERS.search(atom) is not None


def without_assertions(regex: str) -> str:
    """The expression with word edges in place of assertions, without named groups and upper bounds, which only forbid matches."""
    edged = regex.replace("(?<![A-Za-z])", WORD_START).replace("(?![A-Za-z])", WORD_END)
    wide = ASSERTION.sub("", edged).replace("(?P<value>", "(?:")
    return re.sub(r"\{(\d+),\d+\}", r"{\1,}", wide)


def _shorten_start(piece: list[RegexItem], letters: int) -> list[RegexItem]:
    """The piece with the shortest beginning that every match of it has."""
    first = next((number for number, item in enumerate(piece) if item.least), len(piece))
    rest = piece[first:]
    if not rest:
        return []
    atom, least, _ = rest[0]
    most = letters if LOWERCASE_LETTERS.search(atom) else MAX_REPEATED_OTHERS
    return [RegexItem(atom, min(least, most), True), *rest[1:]]


def _parse_items(regex: str) -> list[RegexItem]:
    """The items of the top level of an expression, in order."""
    items, position = [], 0
    while position < len(regex):
        end = _atom_end(regex, position)
        atom = regex[position:end]
        if atom in ("|", "^", "$"):
            raise ValueError(f"an expression with {atom} at the top level cannot be cut: {regex!r}")
        quantifier = QUANTIFIER.match(regex, end)
        position = quantifier.end() if quantifier else end
        if quantifier is None and atom.startswith("(?:") and (inside := _parse_group(atom)):
            items += inside
        else:
            items.append(_parse_item(atom, regex[end:position]))
    return items


def _parse_group(group: str) -> list[RegexItem]:
    """The items of a plain group; none for an alternation, which stays one item."""
    try:
        return _parse_items(group[3:-1])
    except ValueError:
        return []


def _parse_item(atom: str, quantifier: str) -> RegexItem:
    if atom not in (WORD_START, WORD_END):  # inside a group a word edge is not a cut
        atom = atom.replace(WORD_START, "").replace(WORD_END, "")
    sign = quantifier[:1]
    if sign == "{":
        least, _, _ = quantifier.strip("{}?").partition(",")
        return RegexItem(atom, int(least), "," not in quantifier)
    return RegexItem(atom, {"": 1, "+": 1}.get(sign, 0), sign == "")


def _atom_end(regex: str, start: int) -> int:
    """Where the escape, class, group or character at `start` ends."""
    if regex[start] == "\\":
        return start + 2
    if regex[start] == "[":
        return _class_end(regex, start)
    if regex[start] != "(":
        return start + 1
    position, depth = start + 1, 1
    while depth:
        depth += {"(": 1, ")": -1}.get(regex[position], 0)
        position = _atom_end(regex, position) if regex[position] in "\\[" else position + 1
    return position


def _class_end(regex: str, start: int) -> int:
    position = start + (3 if regex.startswith("[^", start) else 2)
    while regex[position] != "]":
        position += 2 if regex[position] == "\\" else 1
    return position + 1
