"""A file of jobs to a file of texts, resumably."""
