"""Statistics: intervals, paired tests, power. Pure functions of numbers; where no interval exists they return NoInterval."""
