"""What a trained network looks at, and the pictures of it."""
