"""Blocks that see neighbourhoods, or need a grid that divides; exact against timm, not in `BLOCKS`."""
