"""The licence of a set of rows, compared with license-expression."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from license_expression import get_spdx_licensing

from tunesmith.data.licenses import combine_licenses, license_refusal

SPDX = get_spdx_licensing()
KNOWN = ("MIT", "Apache-2.0", "CC-BY-4.0", "CC0-1.0", "BSD-3-Clause", "GPL-2.0-only WITH Classpath-exception-2.0")


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        (["MIT"], "MIT"),
        (["MIT", "MIT", "CC0-1.0"], "CC0-1.0 AND MIT"),
        (["mit", "MIT"], "MIT"),
        (["MIT OR Apache-2.0", "CC-BY-4.0"], "(Apache-2.0 OR MIT) AND CC-BY-4.0"),
        (["Apache-2.0 OR MIT", "MIT OR Apache-2.0"], "(Apache-2.0 OR MIT)"),
        (["MIT AND CC0-1.0", "CC0-1.0"], "CC0-1.0 AND MIT"),
        (["MIT OR MIT"], "MIT"),
        (["GPL-2.0-only WITH Classpath-exception-2.0", "MIT"], "GPL-2.0-only WITH Classpath-exception-2.0 AND MIT"),
        (["(MIT AND CC0-1.0) OR Apache-2.0"], "(Apache-2.0 OR (CC0-1.0 AND MIT))"),
        (["LicenseRef-house-terms", "MIT"], "LicenseRef-house-terms AND MIT"),
    ],
)
def test_every_term_is_listed_once_in_order(licenses: list[str], expected: str) -> None:
    assert combine_licenses(licenses) == expected
    assert combine_licenses(reversed(licenses)) == expected


@pytest.mark.parametrize(
    "licenses",
    [[], [None], ["MIT", None], ["MIT", ""], ["NOASSERTION"], ["MIT", "NONE"], ["MIT", "free to use"], ["MIT AND"]],
)
def test_one_unknown_licence_makes_the_whole_unknown(licenses: list[str | None]) -> None:
    assert combine_licenses(licenses) is None


def expressions() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(KNOWN),
        lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        max_leaves=5,
    )


@given(st.lists(expressions(), min_size=1, max_size=4))
def test_the_combination_is_equivalent_to_the_conjunction(licenses: list[str]) -> None:
    """Two expressions are equivalent when license-expression simplifies them to the same text."""
    made = combine_licenses(licenses)
    assert made is not None
    whole = " AND ".join(f"({one})" for one in licenses)
    assert SPDX.parse(made, validate=True).simplify() == SPDX.parse(whole, validate=True).simplify()
    assert combine_licenses([made]) == made


@pytest.mark.parametrize(
    ("expression", "allowed", "expected"),
    [
        ("LicenseRef-house-terms", ("LicenseRef-house-terms",), None),
        ("LicenseRef-house-terms OR MIT", ("MIT",), None),
        ("LicenseRef-house-terms", ("MIT",), "'LicenseRef-house-terms' is not among the allowed licences"),
        (
            "LicenseRef-house-terms AND MIT",
            ("MIT",),
            "'LicenseRef-house-terms AND MIT' is not among the allowed licences",
        ),
        ("public domain", ("MIT",), "'public domain' is not an SPDX expression"),
    ],
)
def test_a_licence_of_the_owners_own_is_an_expression_and_allowed_when_named(
    expression: str, allowed: tuple[str, ...], expected: str | None
) -> None:
    assert license_refusal(expression, allowed) == expected
