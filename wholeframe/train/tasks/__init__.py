"""What a network is trained for: loss, predictions, metrics."""
