"""Poems in a form: shapes, tone patterns, rhymes, masks."""
