"""Text with gaps -> text without: what marks a gap, and how gaps are filled."""
