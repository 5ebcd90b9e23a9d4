"""The engine of Distillation Studio. It never imports streamlit."""

import atexit
import gc

__version__ = "0.1.0"

YOUNG = 50_000
"""So many new objects are there before Python looks for garbage among them, not 700: to open torch and transformers
makes millions that stay, and a third of the time would go into looking at them."""

if gc.get_threshold()[0] < YOUNG:
    gc.set_threshold(YOUNG)
atexit.register(gc.freeze)  # nor are they looked at once more before the process gives back all its memory
