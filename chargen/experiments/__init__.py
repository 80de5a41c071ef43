"""Experiments that a reader can repeat with one command: ``chargen experiment NAME``."""
