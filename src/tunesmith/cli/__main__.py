"""`python -m tunesmith.cli`: same as the `tunesmith` console script."""

from tunesmith.cli.main import main

main()
