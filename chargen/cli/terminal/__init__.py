"""The terminal: tables, progress, live views, charts. The only room that knows rich."""
