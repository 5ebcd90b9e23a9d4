"""How a student learns: losses, teacher outputs, the loop."""
