"""Cards: documents about model and data in a release, for people and programs, from the reports and the maker's declarations."""

from tunesmith.release.cards.croissant import croissant_bytes
from tunesmith.release.cards.data_card import render_data_card
from tunesmith.release.cards.model_card import FolderFacts, render_model_card
from tunesmith.release.cards.provenance_record import provenance_bytes

__all__ = ["FolderFacts", "croissant_bytes", "provenance_bytes", "render_data_card", "render_model_card"]
