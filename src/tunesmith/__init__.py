"""Tunesmith: supervised fine-tuning you can stand behind."""
