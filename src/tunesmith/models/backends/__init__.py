"""Backends: implementations of `ports.Model`, and the encoder and encoder-decoder models."""
