"""Rule: how an instruction to a model is worded, as an expression with a rare word that it cannot match without."""

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
"""Kinds that have no business in a text, whoever wrote it."""


@dataclass(frozen=True)
class InjectionRule:
    """`before`, `anchor` and `after` one after the other: no match without one of `anchor`, which the native gate looks for.

    `anchor` keeps to what RE2 and Python read alike (see `gate_of`). `inside`: as the whole of a prompt it is a plain
    request, so it counts with other text around it alone. `asked`: only in what is said to the model. `also`: what a match has
    somewhere beside the anchor, where the anchor alone is common; it keeps to the same.
    """

    kind: InjectionKind
    anchor: str
    before: str = ""
    after: str = ""
    inside: bool = False
    asked: bool = False
    also: str = ""

    @property
    def gate(self) -> str:
        """An expression for RE2 that matches wherever this rule does, and elsewhere."""
        return re2_gate(self.anchor)

    @cached_property
    def anchored(self) -> re.Pattern[str]:
        return re.compile(f"(?im){self.anchor}")

    @cached_property
    def expression(self) -> re.Pattern[str]:
        return re.compile(f"(?im)(?:{self.before})(?:{self.anchor})(?:{self.after})")


def minimal_gates(gates: Sequence[str]) -> list[str]:
    """The gates less those that match only where another does: they have that other as a part that is not optional."""
    return list(_minimal_gates(tuple(dict.fromkeys(gates))))


@cache
def _minimal_gates(gates: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(gate for gate in gates if not any(_implies(gate, other) for other in gates if other != gate))


def _implies(gate: str, part: str) -> bool:
    before, found, after = gate.partition(part)
    plain = _is_self_contained(before) and _is_self_contained(after) and _is_self_contained(part)
    return bool(found) and plain and after[:1] not in ("?", "*", "{", "+")


def _is_self_contained(expression: str) -> bool:
    """Whether groups are closed in an expression and no alternative stands outside of them."""
    depth, bare = 0, re.sub(r"\\.|\[[^\]]*\]", "_", expression)
    for character in bare:
        depth += (character == "(") - (character == ")")
        if depth < 0 or (depth == 0 and character == "|"):
            return False
    return depth == 0


def re2_gate(expression: str) -> str:
    """What RE2 finds wherever Python finds `expression`: boundaries are left out, since RE2 knows ASCII words alone, and
    `\\w` takes all characters beyond ASCII, and a Turkish i is any i. Raises ValueError on spaces by class, of which Python knows
    more than RE2."""
    if r"\s" in expression:
        raise ValueError("an anchor has a space by class")
    wide = expression.replace("\u0131", "[\u0130\u0131Ii]")
    return wide.replace(r"\b", "").replace(r"\w", r"[0-9A-Za-z_\x{80}-\x{10ffff}]")
