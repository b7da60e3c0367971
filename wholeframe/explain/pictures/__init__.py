"""Pictures of attention: what is drawn where, on one sheet."""
