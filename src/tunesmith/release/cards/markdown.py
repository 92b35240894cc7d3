"""Markdown templates. Values from outside are escaped, so that they cannot become tables, tags or links."""

import re
from pathlib import Path
from typing import Any

import jinja2

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def escape_markdown(value: object) -> str:
    """Escape `value` as one line of Markdown text."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def format_code(value: object) -> str:
    """`value` as inline code. Backticks are removed and bars replaced, because neither can be escaped inside code in a table."""
    return f"`{' '.join(str(value).replace('`', '').replace('|', '/').split())}`"


def render_template(template: str, values: dict[str, Any]) -> str:
    """Render a template of this folder. Undefined names are errors."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown, not HTML: the `quoted` filter escapes
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = escape_markdown
    environment.filters["coded"] = format_code
    return environment.get_template(template).render(values)
