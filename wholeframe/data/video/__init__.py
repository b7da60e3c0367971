"""Videos: files, frames, clips and their lists. Needs PyAV (the extra `video`)."""
