"""Checkpoint to text: sampler, engine, forms, batch jobs, novelty."""
