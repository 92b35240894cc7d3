"""Detectors of single texts and their word lists: personal data and secrets, injection, toxic words, language, quality."""
