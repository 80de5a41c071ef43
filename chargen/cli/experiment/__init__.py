"""``chargen experiment``: questions that a reader can answer with one command each."""
