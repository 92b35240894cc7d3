"""Licences as SPDX expressions: check them against allowed ids, and combine them (license-expression 30.4)."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from license_expression import ExpressionError, LicenseSymbol, LicenseWithExceptionSymbol, Licensing, get_spdx_licensing

NO_LICENSE = ("NONE", "NOASSERTION")
LICENSE_REF: Final = re.compile(r"\bLicenseRef-[A-Za-z0-9.-]+")


def license_refusal(expression: str | None, allowed: tuple[str, ...]) -> str | None:
    """Why a licence is not allowed, or None when it is. AND needs every part allowed, OR one of them; WITH is matched as a whole.

    A missing licence, NONE, NOASSERTION and an invalid SPDX expression are not allowed. A `LicenseRef-...` is allowed only when
    the list names it.
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
def _licensing(refs: tuple[str, ...]) -> Licensing:
    """A parser that knows the SPDX list and some `LicenseRef-...` ids."""
    symbols = {id(symbol): symbol for symbol in get_spdx_licensing().known_symbols.values()}
    return Licensing([*symbols.values(), *(LicenseSymbol(name) for name in refs)])


def combine_licenses(licenses: Iterable[str | None]) -> str | None:
    """The SPDX AND of all distinct licences, sorted, with each alternative (OR) in parentheses; None when any is unknown.

    This is the licence of a work made from rows under several licences, which all apply at once. The parts of an AND are listed
    once each; alternatives are kept. A missing licence, NONE, NOASSERTION and an invalid SPDX expression are unknown, and so is
    the licence of no rows.
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
    """The `LicenseRef-...` ids in an expression, which are licences of the owner's own."""
    return tuple(sorted(set(LICENSE_REF.findall(expression))))


def _conjuncts(node: Any) -> frozenset[str]:
    """The canonical terms that all apply: licences, and alternatives with distinct branches in order."""
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
    """The terms of each branch of an alternative; nested alternatives are flattened."""
    branches: set[frozenset[str]] = set()
    for part in node.args:
        nested = not isinstance(part, LicenseSymbol | LicenseWithExceptionSymbol) and part.operator.strip() == "OR"
        branches |= _alternatives(part) if nested else {_conjuncts(part)}
    return frozenset(branches)


def _join_with_and(parts: Iterable[str]) -> str:
    return " AND ".join(sorted(parts, key=_sort_key))


def _sort_key(text: str) -> tuple[str, str]:
    return text.strip("(").casefold(), text
