"""Statistics: intervals, paired tests, power. Pure functions of numbers; what cannot be said is a NoInterval, never NaN."""
