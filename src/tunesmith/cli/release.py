"""`tunesmith release RECIPE`."""

from tunesmith.cli.stage import stage_verb

command = stage_verb(
    "release", "Do what is not done yet, then sign and write the release folder, if the gate lets it through."
)
