"""`tunesmith release RECIPE`."""

from tunesmith.cli.stage_commands import stage_command

command = stage_command(
    "release", "Do what is not done yet, then sign and write the release folder, if the gate lets it through."
)
