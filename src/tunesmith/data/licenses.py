"""Licences as SPDX expressions, judged against a list of ids that are allowed (license-expression 30.4)."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from license_expression import ExpressionError, LicenseSymbol, LicenseWithExceptionSymbol, Licensing, get_spdx_licensing

NO_LICENSE = ("NONE", "NOASSERTION")
LICENSE_REF: Final = re.compile(r"\bLicenseRef-[A-Za-z0-9.-]+")


def license_refusal(expression: str | None, allowed: tuple[str, ...]) -> str | None:
    """Why a licence is not allowed, or None when it is: AND needs every part, OR one, WITH is matched as a whole.

    A missing licence is not allowed, nor is NONE, NOASSERTION or what is no SPDX expression. A `LicenseRef-...` is allowed
    only when the list names it.
    """
    if expression is None or not expression.strip() or expression.strip() in NO_LICENSE:
        return "no licence is stated"
    try:
        tree = _licensing(_license_refs(expression)).parse(expression, validate=True)
    except (ExpressionError, AttributeError):  # validation of some malformed ids ends in AttributeError (30.4.4)
        return f"{expression[:60]!r} is not an SPDX expression"
    return None if _allows(tree, frozenset(allowed)) else f"{expression[:60]!r} is not among the allowed licences"


def _allows(node: Any, allowed: frozenset[str]) -> bool:
    if isinstance(node, LicenseWithExceptionSymbol):
        return node.render() in allowed
    if isinstance(node, LicenseSymbol):
        return node.key in allowed
    parts = [_allows(part, allowed) for part in node.args]
    return all(parts) if node.operator.strip() == "AND" else any(parts)


@cache
def _licensing(own: tuple[str, ...]) -> Licensing:
    """The SPDX list and some `LicenseRef-...` ids."""
    known = {id(symbol): symbol for symbol in get_spdx_licensing().known_symbols.values()}
    return Licensing([*known.values(), *(LicenseSymbol(name) for name in own)])


def combine_licenses(licenses: Iterable[str | None]) -> str | None:
    """The SPDX AND of all distinct licences, each alternative (OR) in parentheses, sorted; None when any is not known.

    What a work made from rows under several licences is under: all of them hold at once. An AND inside a licence is taken
    apart, so that each part is named once; no alternative is chosen for the reader. A licence that is missing, NONE,
    NOASSERTION or no SPDX expression is not known, and neither is that of no rows at all.
    """
    parts: set[str] = set()
    for expression in dict.fromkeys(licenses):
        if expression is None or not expression.strip() or expression.strip() in NO_LICENSE:
            return None
        try:
            tree = _licensing(_license_refs(expression)).parse(expression, validate=True)
        except (ExpressionError, AttributeError):
            return None
        parts |= _conjuncts(tree)
    return _join_with_and(parts) or None


def _license_refs(expression: str) -> tuple[str, ...]:
    """The `LicenseRef-...` ids an expression names: an owner's own licences stand for themselves."""
    return tuple(sorted(set(LICENSE_REF.findall(expression))))


def _conjuncts(node: Any) -> frozenset[str]:
    """The canonical texts that must all hold: a licence, or an alternative whose branches are in order and named once."""
    if isinstance(node, LicenseSymbol | LicenseWithExceptionSymbol):
        return frozenset({str(node.render())})
    if node.operator.strip() == "AND":
        return frozenset().union(*(_conjuncts(part) for part in node.args))
    branches = _alternatives(node)
    if len(branches) == 1:
        return next(iter(branches))
    texts = [_join_with_and(branch) if len(branch) == 1 else f"({_join_with_and(branch)})" for branch in branches]
    return frozenset({f"({' OR '.join(sorted(texts, key=_sort_key))})"})


def _alternatives(node: Any) -> frozenset[frozenset[str]]:
    """What each way of an alternative asks for; an alternative inside it is a way of its own."""
    found: set[frozenset[str]] = set()
    for part in node.args:
        own = not isinstance(part, LicenseSymbol | LicenseWithExceptionSymbol) and part.operator.strip() == "OR"
        found |= _alternatives(part) if own else {_conjuncts(part)}
    return frozenset(found)


def _join_with_and(parts: Iterable[str]) -> str:
    return " AND ".join(sorted(parts, key=_sort_key))


def _sort_key(text: str) -> tuple[str, str]:
    return text.strip("(").casefold(), text
