"""Time and memory of the blocks against their peers."""
