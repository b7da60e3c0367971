"""Blocks outside `BLOCKS`: they depend on neighbourhoods or restrict the grid. All are exact against timm."""
