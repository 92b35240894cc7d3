"""Licences as SPDX expressions, judged against a list of ids that are allowed (license-expression 30.4)."""

from functools import cache
from typing import Any

from license_expression import ExpressionError, LicenseSymbol, LicenseWithExceptionSymbol, Licensing, get_spdx_licensing

NO_ANSWER = ("NONE", "NOASSERTION")


def refusal(expression: str | None, allowed: tuple[str, ...]) -> str | None:
    """Why a licence is not allowed, or None when it is: AND needs every part, OR one, WITH is matched as a whole.

    A missing licence is not allowed, nor is NONE, NOASSERTION or what is no SPDX expression. A `LicenseRef-...` is known
    only when the list names it.
    """
    if expression is None or not expression.strip() or expression.strip() in NO_ANSWER:
        return "no licence is stated"
    try:
        tree = _licensing(allowed).parse(expression, validate=True)
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
def _licensing(allowed: tuple[str, ...]) -> Licensing:
    """The SPDX list and the `LicenseRef-...` ids of the allowed list."""
    known = {id(symbol): symbol for symbol in get_spdx_licensing().known_symbols.values()}
    own = [LicenseSymbol(name) for name in sorted(set(allowed)) if name.startswith("LicenseRef-")]
    return Licensing([*known.values(), *own])
