"""Preflight: finds what a later stage would reject before anything expensive starts, from the recipe and the disk alone."""

from tunesmith.preflight.fault import Fault, raise_faults
from tunesmith.preflight.recipe import check_recipe, recipe_faults

__all__ = ["Fault", "check_recipe", "recipe_faults", "raise_faults"]
