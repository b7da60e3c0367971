"""Attention and dependence statistics of trained networks, and figures."""
