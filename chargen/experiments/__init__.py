"""Experiments, each repeated by one command: ``chargen experiment NAME``."""
