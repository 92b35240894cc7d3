"""The recipe file: settings, loading with precise errors, and a JSON Schema for editors."""

from tunesmith.recipe.base import Settings
from tunesmith.recipe.data import (
    BaseSettings,
    CatalogueBase,
    DataSettings,
    HubBase,
    NewBase,
    NewTokenizer,
    SourceSettings,
    TaskName,
    TaskSettings,
)
from tunesmith.recipe.load import load_recipe, parse_recipe, recipe_schema
from tunesmith.recipe.recipe import Limits, Recipe, limited
from tunesmith.recipe.split import SplitSettings
from tunesmith.recipe.stages import AuditSettings, EvaluateSettings, ReleaseSettings, Requirement
from tunesmith.recipe.training import TrainSettings

__all__ = [
    "AuditSettings",
    "BaseSettings",
    "CatalogueBase",
    "DataSettings",
    "EvaluateSettings",
    "HubBase",
    "Limits",
    "NewBase",
    "NewTokenizer",
    "Recipe",
    "ReleaseSettings",
    "Requirement",
    "Settings",
    "SourceSettings",
    "SplitSettings",
    "TaskName",
    "TaskSettings",
    "TrainSettings",
    "limited",
    "load_recipe",
    "parse_recipe",
    "recipe_schema",
]
