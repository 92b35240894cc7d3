"""`tunesmith train RECIPE`."""

from tunesmith.cli.stage import stage_verb

command = stage_verb("train", "Audit the rows, then tune the base.")
