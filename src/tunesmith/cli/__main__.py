"""`python -m tunesmith.cli`: the same as the console entry."""

from tunesmith.cli.main import main

main()
