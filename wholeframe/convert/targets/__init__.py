"""Networks of this package in the names of other repositories, one file for each."""
