"""Cards: the model card and the data card of a release, from the reports and from what the maker declared."""

from tunesmith.release.cards.data_card import render_data_card
from tunesmith.release.cards.model_card import Facts, render_model_card

__all__ = ["Facts", "render_data_card", "render_model_card"]
