"""`tunesmith run RECIPE`."""

from tunesmith.cli.stage import stage_verb

command = stage_verb("release", "Run a recipe from rows to a signed release: audit, train, evaluate, gate, release.")
