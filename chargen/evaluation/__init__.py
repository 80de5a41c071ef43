"""Evaluation: bits per character of a text, novelty of generated texts."""
