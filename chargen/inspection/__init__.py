"""What a network does, and what a run folder holds."""
