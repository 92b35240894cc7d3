"""Gates: for each pattern an expression that every text with a hit holds; automata (RE2's `Set`) look for all of them.

A gate comes from the pattern's expression by steps that can only let more texts through, so it is a superset by
construction: assertions and upper bounds go; it is cut where anything may stand between, and at the edge of a word, which
stays; one piece is kept; what is optional at its ends goes, letters at will before a sign such as @ go, and a repeat at an
end keeps its last or first few. The cuts and short ends keep the automaton small: it must not count how long each word is,
nor remember that a cue went before. Each of its states is a mixture of how far each gate has come.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from tunesmith.detect.patterns.pattern import Pattern

ASSERTION: Final = re.compile(r"\(\?<?[=!](?:\[[^\]]*\]|[^()\[\]])*\)|\\b")
"""Look-around without groups inside, and word boundaries."""
QUANTIFIER: Final = re.compile(r"(?:[?*+]|\{(\d+)(?:,\d*)?\})\??")
WORD_START: Final = "(?:^|[^A-Za-z])"
WORD_END: Final = "(?:[^A-Za-z]|$)"
"""Before and behind a word: what the assertions that no letter stands there let through, one character long."""
LOWERCASE_LETTERS: Final = re.compile(r"a-|[a-z]{2}")
"""In a class that has small letters."""
SIGN_ATOM: Final = re.compile(r"[^\[(\\A-Za-z0-9 ]|\\[^A-Za-z0-9]")
DIGIT_ATOM: Final = re.compile(r"[0-9]|\[(?:[0-9](?:-[0-9])?)+\]")
"""Atoms that are a sign, or a digit."""
SELECTIVE_PIECE: Final = re.compile(r"\[0-9\]\{\d+,?\}\\\.|^@")
MAX_LEADING_LETTERS: Final = 2
MAX_TRAILING_LETTERS: Final = 16
MAX_REPEATED_OTHERS: Final = 10
"""How many of a repeat are kept: of a class with small letters at the beginning of a piece and at its end, and of others."""


class RegexItem(NamedTuple):
    """One part of an expression and how often it stands there: at least `least` times, at most `least` times if `exact`."""

    atom: str
    least: int
    exact: bool

    def __str__(self) -> str:
        if self.exact:
            return self.atom if self.least == 1 else f"{self.atom}{{{self.least}}}"
        return f"{self.atom}*" if self.least == 0 else f"{self.atom}{{{self.least},}}"


def prefilter_regex(pattern: Pattern) -> str:
    """The gate, in the syntax of RE2. Raises ValueError when the expression cannot be cut safely."""
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
    """Whether every hit holds an ASCII digit, by a part of the expression that must stand there and is nothing else."""
    return any(
        item.least and DIGIT_ATOM.fullmatch(item.atom) for item in _parse_items(without_assertions(pattern.regex))
    )


def any_prefilter_regex(gates: Sequence[str]) -> str:
    """An expression that matches the texts that any of the gates matches; the edges of words stand in it once.

    That is what keeps its automaton small: an edge for each gate is a place for each gate in every state.
    """
    within, behind = [], []
    for one in gates:
        cue = one.removeprefix(WORD_START)
        if one.startswith(WORD_START) and cue.endswith(WORD_END):
            within.append(cue.removesuffix(WORD_END))
        elif one.startswith(WORD_START):
            behind.append(cue)
    other = [one for one in gates if not one.startswith(WORD_START)]
    cues = [*([f"{_alternation(within)}{WORD_END}"] if within else []), *behind]
    return "|".join([*([f"{WORD_START}{_alternation(cues)}"] if cues else []), *other])


def _alternation(expressions: Sequence[str]) -> str:
    return f"(?:{'|'.join(expressions)})"


def _most_selective(pieces: list[list[RegexItem]]) -> list[RegexItem]:
    """The piece that fewer ordinary texts hold: a value with an @ or with points between digits, else the first, a cue."""
    return next((piece for piece in pieces if SELECTIVE_PIECE.search("".join(map(str, piece)))), pieces[0])


def _shorten_ends(piece: list[RegexItem]) -> list[RegexItem]:
    return _shorten_start(
        _shorten_start(_drop_leading_letters(piece), MAX_LEADING_LETTERS)[::-1], MAX_TRAILING_LETTERS
    )[::-1]


def _drop_leading_letters(piece: list[RegexItem]) -> list[RegexItem]:
    """A piece that begins with letters at will and then a sign, from the sign on: automata need not know the letters."""
    first = next((number for number, item in enumerate(piece) if not _is_letter_class(item.atom)), 0)
    return piece[first:] if first and piece[first].least and SIGN_ATOM.fullmatch(piece[first].atom) else piece


def _is_letter_class(atom: str) -> bool:
    return atom.startswith("[") and LOWERCASE_LETTERS.search(atom) is not None


def without_assertions(regex: str) -> str:
    """No assertions but the edges of words, no named groups, no upper bounds: a bound can only forbid a match."""
    edged = regex.replace("(?<![A-Za-z])", WORD_START).replace("(?![A-Za-z])", WORD_END)
    wide = ASSERTION.sub("", edged).replace("(?P<value>", "(?:")
    return re.sub(r"\{(\d+),\d+\}", r"{\1,}", wide)


def _shorten_start(piece: list[RegexItem], letters: int) -> list[RegexItem]:
    """A piece whose beginning is as short as may be: a text that holds the piece holds this."""
    first = next((number for number, item in enumerate(piece) if item.least), len(piece))
    kept = piece[first:]
    if not kept:
        return []
    atom, least, _ = kept[0]
    most = letters if LOWERCASE_LETTERS.search(atom) else MAX_REPEATED_OTHERS
    return [RegexItem(atom, min(least, most), True), *kept[1:]]


def _parse_items(regex: str) -> list[RegexItem]:
    """The top level of an expression, in order."""
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
    """The items of a plain group; none when it is a choice, which stays one item."""
    try:
        return _parse_items(group[3:-1])
    except ValueError:
        return []


def _parse_item(atom: str, quantifier: str) -> RegexItem:
    if atom not in (WORD_START, WORD_END):  # inside a group the edge of a word is no cut
        atom = atom.replace(WORD_START, "").replace(WORD_END, "")
    sign = quantifier[:1]
    if sign == "{":
        least, _, _ = quantifier.strip("{}?").partition(",")
        return RegexItem(atom, int(least), "," not in quantifier)
    return RegexItem(atom, {"": 1, "+": 1}.get(sign, 0), sign == "")


def _atom_end(regex: str, start: int) -> int:
    """Where the escape, class, group or character that begins at `start` ends."""
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
