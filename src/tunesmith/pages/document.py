"""Template environment and stylesheet of a page."""

from pathlib import Path

import jinja2
from markupsafe import Markup

_PAGES_FOLDER = Path(__file__).parent


def template_environment(folder: Path) -> jinja2.Environment:
    """Environment for templates in `folder` and in this package. Values are escaped; undefined names are errors."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _PAGES_FOLDER]),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def page_style(*more: Path) -> Markup:
    """Shared stylesheet followed by the files in `more`. Contents are trusted and not escaped."""
    files = (_PAGES_FOLDER / "style.css", *more)
    return Markup("").join(Markup(file.read_text(encoding="utf-8")) for file in files)
