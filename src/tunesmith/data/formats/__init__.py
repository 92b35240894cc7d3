"""Row formats, one per file. Each module registers one plugin in `tunesmith.data.format.FORMATS`."""
