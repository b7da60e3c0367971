"""Names of files and classes as people and programs make them."""

import os

NAMES = [
    "new\nline",
    "carriage\rreturn",
    "quote'\"s",
    "[bold]red",
    r"x$\frac$",
    "comma, semicolon; tab\t",
    "n" * 240,
    "\u202eright to left",
    "日本語 ü",
    " blanks ",
    "<b>&amp;",
    "|pipe|",
    "=1+1",
    os.fsdecode(b"not utf-8 \xff\xfe"),
]
