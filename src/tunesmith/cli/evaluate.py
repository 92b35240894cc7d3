"""`tunesmith evaluate RECIPE`."""

from tunesmith.cli.stage import stage_verb

command = stage_verb("evaluate", "Audit, train, then compare the tuned model with its base on the held-out rows.")
