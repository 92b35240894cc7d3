"""`tunesmith release RECIPE`."""

from tunesmith.cli.stage_commands import stage_command

command = stage_command(
    "release", "Run the stages that are not done yet and, if the gate passes, write and sign the release folder."
)
