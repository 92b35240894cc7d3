"""Command line. One file per command: parse the arguments, call the library, render the result."""
