"""The page: one HTML file that tells a whole run to someone who knows nothing of it."""

from tunesmith.release.page.render import render_page

__all__ = ["render_page"]
