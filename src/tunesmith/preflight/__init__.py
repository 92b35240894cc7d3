"""Preflight: what a later stage would refuse, found before anything heavy begins, from the recipe and the disk alone."""

from tunesmith.preflight.fault import Fault, refuse
from tunesmith.preflight.recipe import Until, check_recipe, recipe_faults

__all__ = ["Fault", "Until", "check_recipe", "recipe_faults", "refuse"]
