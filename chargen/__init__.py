"""chargen: a text in, a small recurrent language model out, and text again.

What this module exports is the public API; every other module is private. The names stand in
``__init__.pyi``; each is imported when it is first asked for, since torch takes seconds to load.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
