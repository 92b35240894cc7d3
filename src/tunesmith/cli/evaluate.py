"""`tunesmith evaluate RECIPE`."""

from tunesmith.cli.stage_commands import stage_command

command = stage_command("evaluate", "Audit, train, then compare the tuned model with its base on the test rows.")
