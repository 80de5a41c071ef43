"""Inspection of run folders, corpora and trained networks."""
