"""How well a model predicts a text, and how much of its own texts is copied."""
