"""The command line: parse, call, render. One file per verb; no rule and no number is made here."""
