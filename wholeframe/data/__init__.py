"""Data sets, read from what people have on disk. One module per kind; none imports anything else of ours."""
