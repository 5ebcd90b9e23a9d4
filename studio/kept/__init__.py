"""What the models of a run said of each row, on disk, beside the rows themselves: read without computing anything."""
