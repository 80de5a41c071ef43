"""Text to tokens: reading, cleaning, the tokenizer, the prepared corpus, windows. No torch here."""
