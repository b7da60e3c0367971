"""One self-contained HTML page on which a reader clicks a position and sees where every block looks from there."""

from wholeframe.explain.page.write import html_page, write_page

__all__ = ["html_page", "write_page"]
