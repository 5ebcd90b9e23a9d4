"""Queue, runs, questions and exports: what pages, command line and API call."""
