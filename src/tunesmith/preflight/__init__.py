"""Preflight: what a later stage would refuse, found before anything heavy begins, from the recipe and the disk alone."""

from tunesmith.preflight.fault import Fault, raise_faults
from tunesmith.preflight.recipe import LastStage, check_recipe, recipe_faults

__all__ = ["Fault", "LastStage", "check_recipe", "recipe_faults", "raise_faults"]
