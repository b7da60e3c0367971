"""Blocks into a network that is already built, and out again."""
