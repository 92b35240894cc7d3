"""Preflight: finds what a later stage would reject before anything expensive starts, from the recipe and the disk alone."""

from tunesmith.preflight.fault import Fault, raise_faults
from tunesmith.preflight.recipe import LastStage, check_recipe, recipe_faults

__all__ = ["Fault", "LastStage", "check_recipe", "recipe_faults", "raise_faults"]
