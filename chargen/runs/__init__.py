"""The run folder: its files, how they are written, read, found, locked and migrated."""
