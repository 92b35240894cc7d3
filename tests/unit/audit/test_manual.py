"""The manual page of every check parses into sections, as shown by the audit page and SARIF."""

import pytest

from tunesmith.audit.check import check_ids
from tunesmith.audit.manual import manual


@pytest.mark.parametrize("check", check_ids())
def test_every_check_has_a_page_with_its_sections(check: str) -> None:
    page = manual(check)
    assert page.title and not page.title.endswith(".")
    assert page.text.startswith(page.title)
    assert all((page.finds, page.matters, page.limits, page.reference)), f"{check}: a section is missing"
    assert "\n" not in page.matters


def test_a_page_by_sections() -> None:
    page = manual("exact-duplicate")
    assert page.title == "Exact duplicate: a training row identical to an earlier one"
    assert page.matters == "duplicated rows are weighted twice and are more likely to be memorized."
    assert page.advice == ""


def test_a_rule_that_is_not_a_check_has_only_a_title() -> None:
    assert manual("no-training-rows").title == "No training rows"
