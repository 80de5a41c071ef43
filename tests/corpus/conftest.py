from __future__ import annotations

from hypothesis import settings

# The same examples on every run, and no verdict that hangs on how busy the machine is.
settings.register_profile("corpus", derandomize=True, deadline=None, database=None)
settings.load_profile("corpus")
