"""The template environment and the style of a page."""

from pathlib import Path

import jinja2
from markupsafe import Markup

_PAGES_FOLDER = Path(__file__).parent


def template_environment(folder: Path) -> jinja2.Environment:
    """Templates of a folder and of this one. Every value is escaped; a name that is not there is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _PAGES_FOLDER]),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def page_style(*more: Path) -> Markup:
    """The style of all pages, then that of one page's own files. Files of this package alone: nothing here is escaped."""
    files = (_PAGES_FOLDER / "style.css", *more)
    return Markup("").join(Markup(file.read_text(encoding="utf-8")) for file in files)
