"""Injections: instructions to a model hidden in what it is given to read, and requests against its system turn."""

from tunesmith.data.injection.guarded import against, scan_guarded
from tunesmith.data.injection.rule import GRAVE
from tunesmith.data.injection.scan import Injection, injections, scan

__all__ = ["GRAVE", "Injection", "against", "injections", "scan", "scan_guarded"]
