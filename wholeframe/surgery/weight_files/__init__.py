"""Files of weights by format, read without running code in them. `state_files.read_content` reads any of them."""
