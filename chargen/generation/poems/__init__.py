"""Poems that keep a form: shapes, tones, rhymes, masks."""
