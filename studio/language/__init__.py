"""The reader's language: English is the key, and a catalog has the text of each other language."""
