"""One run from config to verdict, and the questions about it."""
