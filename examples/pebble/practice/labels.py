"""Spellings of category names."""

STYLES = ["snake", "snake", "snake", "spaced", "spaced", "title", "capital", "upper", "kebab", "camel",
        "dotted"]


def styled(name, style):
    """A category name such as card lost in the given spelling."""
    parts = name.split()
    if style == "snake":
        return "_".join(parts)
    if style == "title":
        return " ".join(part.capitalize() for part in parts)
    if style == "capital":
        return name.capitalize()
    if style == "upper":
        return "_".join(parts).upper()
    if style == "kebab":
        return "-".join(parts)
    if style == "camel":
        return parts[0] + "".join(part.capitalize() for part in parts[1:])
    return ".".join(parts) if style == "dotted" else name
