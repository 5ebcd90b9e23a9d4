"""Data sets: from an upload to Arrow on disk."""
