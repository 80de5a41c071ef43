"""Tokens to a checkpoint: the loop, optimisers and schedules, metrics."""
