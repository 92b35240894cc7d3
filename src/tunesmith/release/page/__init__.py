"""HTML report of a run for readers without prior knowledge."""

from tunesmith.release.page.render import render_page

__all__ = ["render_page"]
