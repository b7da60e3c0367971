"""The error of every reader of this folder."""


class Refused(Exception):
    """A file that is not read, and why: the end of a sentence that begins with its name."""
