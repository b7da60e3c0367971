"""Whole networks of other repositories, one file for each."""
