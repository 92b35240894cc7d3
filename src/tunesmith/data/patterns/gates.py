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

from tunesmith.data.patterns.pattern import Pattern

ASSERTION: Final = re.compile(r"\(\?<?[=!](?:\[[^\]]*\]|[^()\[\]])*\)|\\b")
"""Look-around without groups inside, and word boundaries."""
QUANTIFIER: Final = re.compile(r"(?:[?*+]|\{(\d+)(?:,\d*)?\})\??")
BEGIN: Final = "(?:^|[^A-Za-z])"
END: Final = "(?:[^A-Za-z]|$)"
"""Before and behind a word: what the assertions that no letter stands there let through, one character long."""
SMALL: Final = re.compile(r"a-|[a-z]{2}")
"""In a class that has small letters."""
SIGN: Final = re.compile(r"[^\[(\\A-Za-z0-9 ]|\\[^A-Za-z0-9]")
DIGIT: Final = re.compile(r"[0-9]|\[(?:[0-9](?:-[0-9])?)+\]")
"""Atoms that are a sign, or a digit."""
POINTED: Final = re.compile(r"\[0-9\]\{\d+,?\}\\\.|^@")
FIRST: Final = 2
LAST: Final = 16
DIGITS: Final = 10
"""How many of a repeat are kept: of a class with small letters at the beginning of a piece and at its end, and of others."""


class Item(NamedTuple):
    """One part of an expression and how often it stands there: at least `least` times, at most `least` times if `exact`."""

    atom: str
    least: int
    exact: bool

    def __str__(self) -> str:
        if self.exact:
            return self.atom if self.least == 1 else f"{self.atom}{{{self.least}}}"
        return f"{self.atom}*" if self.least == 0 else f"{self.atom}{{{self.least},}}"


def gate(pattern: Pattern) -> str:
    """The gate, in the syntax of RE2. Raises ValueError when the expression cannot be cut safely."""
    pieces: list[list[Item]] = [[]]
    for item in _items(_wide(pattern.regex)):
        anything = item.least == 0 and item.atom.startswith("[^")
        if anything or item.atom == BEGIN:
            pieces.append([])
        if not anything:
            pieces[-1].append(item)
        if item.atom == END:
            pieces.append([])
    return "".join(map(str, _telling([short for piece in pieces if (short := _ends(piece))])))


def needs_digit(pattern: Pattern) -> bool:
    """Whether every hit holds an ASCII digit, by a part of the expression that must stand there and is nothing else."""
    return any(item.least and DIGIT.fullmatch(item.atom) for item in _items(_wide(pattern.regex)))


def one_of(gates: Sequence[str]) -> str:
    """An expression that matches the texts that any of the gates matches; the edges of words stand in it once.

    That is what keeps its automaton small: an edge for each gate is a place for each gate in every state.
    """
    within, behind = [], []
    for one in gates:
        cue = one.removeprefix(BEGIN)
        if one.startswith(BEGIN) and cue.endswith(END):
            within.append(cue.removesuffix(END))
        elif one.startswith(BEGIN):
            behind.append(cue)
    other = [one for one in gates if not one.startswith(BEGIN)]
    cues = [*([f"{_choice(within)}{END}"] if within else []), *behind]
    return "|".join([*([f"{BEGIN}{_choice(cues)}"] if cues else []), *other])


def _choice(expressions: Sequence[str]) -> str:
    return f"(?:{'|'.join(expressions)})"


def _telling(pieces: list[list[Item]]) -> list[Item]:
    """The piece that fewer ordinary texts hold: a value with an @ or with points between digits, else the first, a cue."""
    return next((piece for piece in pieces if POINTED.search("".join(map(str, piece)))), pieces[0])


def _ends(piece: list[Item]) -> list[Item]:
    return _short(_short(_from_sign(piece), FIRST)[::-1], LAST)[::-1]


def _from_sign(piece: list[Item]) -> list[Item]:
    """A piece that begins with letters at will and then a sign, from the sign on: automata need not know the letters."""
    first = next((number for number, item in enumerate(piece) if not _letters(item.atom)), 0)
    return piece[first:] if first and piece[first].least and SIGN.fullmatch(piece[first].atom) else piece


def _letters(atom: str) -> bool:
    return atom.startswith("[") and SMALL.search(atom) is not None


def _wide(regex: str) -> str:
    """No assertions but the edges of words, no named groups, no upper bounds: a bound can only forbid a match."""
    edged = regex.replace("(?<![A-Za-z])", BEGIN).replace("(?![A-Za-z])", END)
    wide = ASSERTION.sub("", edged).replace("(?P<value>", "(?:")
    return re.sub(r"\{(\d+),\d+\}", r"{\1,}", wide)


def _short(piece: list[Item], letters: int) -> list[Item]:
    """A piece whose beginning is as short as may be: a text that holds the piece holds this."""
    first = next((number for number, item in enumerate(piece) if item.least), len(piece))
    kept = piece[first:]
    if not kept:
        return []
    atom, least, _ = kept[0]
    most = letters if SMALL.search(atom) else DIGITS
    return [Item(atom, min(least, most), True), *kept[1:]]


def _items(regex: str) -> list[Item]:
    """The top level of an expression, in order."""
    items, position = [], 0
    while position < len(regex):
        end = _atom_end(regex, position)
        atom = regex[position:end]
        if atom in ("|", "^", "$"):
            raise ValueError(f"an expression with {atom} at the top level cannot be cut: {regex!r}")
        quantifier = QUANTIFIER.match(regex, end)
        position = quantifier.end() if quantifier else end
        if quantifier is None and atom.startswith("(?:") and (inside := _inside(atom)):
            items += inside
        else:
            items.append(_item(atom, regex[end:position]))
    return items


def _inside(group: str) -> list[Item]:
    """The items of a plain group; none when it is a choice, which stays one item."""
    try:
        return _items(group[3:-1])
    except ValueError:
        return []


def _item(atom: str, quantifier: str) -> Item:
    if atom not in (BEGIN, END):  # inside a group the edge of a word is no cut
        atom = atom.replace(BEGIN, "").replace(END, "")
    sign = quantifier[:1]
    if sign == "{":
        least, _, _ = quantifier.strip("{}?").partition(",")
        return Item(atom, int(least), "," not in quantifier)
    return Item(atom, {"": 1, "+": 1}.get(sign, 0), sign == "")


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
