"""SQLite: what is known of data sets and runs."""
