"""The engine of Distillation Studio. It never imports streamlit."""

__version__ = "0.1.0"
