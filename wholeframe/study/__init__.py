"""What one does with a model besides training it."""
