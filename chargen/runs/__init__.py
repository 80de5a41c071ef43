"""The run folder: what it records, its tensors, its metrics; finding, locking and verifying it."""
