"""The manual page of a check, parsed from its module docstring."""

import inspect
import re
import sys
from dataclasses import dataclass
from functools import cache
from typing import Final

from tunesmith.audit.check import check_class, check_ids

SECTIONS: Final = {
    "What it finds": "finds",
    "Why it matters": "matters",
    "What to do": "advice",
    "Limits": "limits",
    "Reference": "reference",
}
_HEADING: Final = re.compile(rf"^({'|'.join(SECTIONS)}): ", re.MULTILINE)


@dataclass(frozen=True)
class Manual:
    """`title` is the first line, `text` the whole page; missing sections are empty. The section "What to do" is optional."""

    title: str
    text: str = ""
    finds: str = ""
    matters: str = ""
    advice: str = ""
    limits: str = ""
    reference: str = ""


@cache
def manual(rule: str) -> Manual:
    """The manual page of a rule. A rule that is not a check, such as `no-training-rows`, has only a title."""
    if rule not in check_ids():
        return Manual(rule.replace("-", " ").capitalize())
    page = inspect.cleandoc(sys.modules[check_class(rule).__module__].__doc__ or "")
    title, _, body = page.partition("\n")
    parts = _HEADING.split(body)
    sections = {SECTIONS[name]: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    return Manual(title=title.rstrip("."), text=page, **sections)
