"""What a trained network looks at, and figures of it."""
