"""How good, how small, how fast, and what that means."""
