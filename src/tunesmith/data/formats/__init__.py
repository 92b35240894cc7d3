"""Row formats, one per module. Each module registers its format in `tunesmith.data.format.FORMATS`."""
