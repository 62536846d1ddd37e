"""What the paper says, and what follows from its numbers."""
