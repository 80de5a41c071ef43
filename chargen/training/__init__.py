"""Training: a corpus in, a run out."""
