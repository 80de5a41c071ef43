"""Batches: a file of texts generated from a file of jobs, which can be resumed."""
