"""`InjectionRule`: a wording of an instruction to a model, with an anchor that a native pass looks for first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final, Literal

InjectionKind = Literal[
    "override",
    "role",
    "secret-request",
    "exfiltration",
    "tool-call",
    "addressed-to-model",
    "answer-tampering",
    "hidden-text",
]
SEVERE_KINDS: Final = ("override", "role", "exfiltration", "hidden-text", "encoded-instruction", "hidden-instruction")
"""Kinds that are unwanted in a text, whoever wrote it."""


@dataclass(frozen=True)
class InjectionRule:
    """Matches `before`, `anchor` and `after` one after the other.

    anchor: a part of every match, limited to what RE2 and Python read alike (see `re2_gate`).
    also: where the anchor is common, another expression that a text with a match has, with the same limits.
    embedded: counts only with MIN_SURROUNDING_CHARACTERS of other text: as a whole prompt it would be a plain request.
    to_model: counts only in what is said to the model, in user and tool turns.
    """

    kind: InjectionKind
    anchor: str
    before: str = ""
    after: str = ""
    embedded: bool = False
    to_model: bool = False
    also: str = ""

    @property
    def gate(self) -> str:
        """An RE2 expression that matches every text with a match of the rule, and others."""
        return re2_gate(self.anchor)

    @cached_property
    def anchored(self) -> re.Pattern[str]:
        return re.compile(f"(?im){self.anchor}")

    @cached_property
    def expression(self) -> re.Pattern[str]:
        return re.compile(f"(?im)(?:{self.before})(?:{self.anchor})(?:{self.after})")


def minimal_gates(gates: Sequence[str]) -> list[str]:
    """The gates without those that another one implies: such a gate has the other as a part that is not optional."""
    return list(_minimal_gates(tuple(dict.fromkeys(gates))))


@cache
def _minimal_gates(gates: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(gate for gate in gates if not any(_implies(gate, other) for other in gates if other != gate))


def _implies(gate: str, part: str) -> bool:
    before, separator, after = gate.partition(part)
    plain = _is_self_contained(before) and _is_self_contained(after) and _is_self_contained(part)
    return bool(separator) and plain and after[:1] not in ("?", "*", "{", "+")


def _is_self_contained(expression: str) -> bool:
    """Whether all groups of an expression are closed and it has no alternation outside of them."""
    depth, bare = 0, re.sub(r"\\.|\[[^\]]*\]", "_", expression)
    for character in bare:
        depth += (character == "(") - (character == ")")
        if depth < 0 or (depth == 0 and character == "|"):
            return False
    return depth == 0


def re2_gate(expression: str) -> str:
    """An RE2 expression that matches wherever Python matches `expression`.

    RE2's `\\b` and `\\w` are ASCII only: boundaries are dropped, `\\w` takes all characters beyond ASCII, a Turkish i is any i.
    Raises ValueError for `\\s`, which has more characters in Python.
    """
    if r"\s" in expression:
        raise ValueError(f"anchor {expression!r} has \\s: write its spaces out, as in [ \\n]")
    wide = expression.replace("\u0131", "[\u0130\u0131Ii]")
    return wide.replace(r"\b", "").replace(r"\w", r"[0-9A-Za-z_\x{80}-\x{10ffff}]")
