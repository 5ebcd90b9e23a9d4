"""Teachers and students: opened, built, cut, saved."""
