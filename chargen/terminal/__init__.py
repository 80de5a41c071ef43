"""Terminal output: tables, progress, live views, charts. Only this package imports rich."""
