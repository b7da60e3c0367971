"""Insert blocks into a network that is already built, and remove them again."""
