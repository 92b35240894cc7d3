"""Templates that become Markdown. Text from outside is quoted so that it stays text: no table, tag or link grows out of it."""

import re
from pathlib import Path
from typing import Any

import jinja2

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def escape_markdown(value: object) -> str:
    """One line of Markdown that shows `value` as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def format_code(value: object) -> str:
    """One line of code, e.g. a file name; backticks and bars inside are left out, for no quoting works there."""
    return f"`{' '.join(str(value).replace('`', '').replace('|', '/').split())}`"


def render_template(template: str, values: dict[str, Any]) -> str:
    """A template of this folder with its values; an unknown name in it is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown, not HTML: `quoted` is the escape
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = escape_markdown
    environment.filters["coded"] = format_code
    return environment.get_template(template).render(values)
