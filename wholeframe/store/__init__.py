"""Networks as files: one file with weights and how to build them, and the hub."""
