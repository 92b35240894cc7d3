"""Injections: instructions to a model hidden in what it is given to read."""

from tunesmith.data.injection.rule import GRAVE
from tunesmith.data.injection.scan import Injection, injections, scan

__all__ = ["GRAVE", "Injection", "injections", "scan"]
