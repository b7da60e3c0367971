"""Pictures of attention: panels on one sheet."""
