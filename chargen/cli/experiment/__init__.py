"""``chargen experiment``: one command for each experiment."""
