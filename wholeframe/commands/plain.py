"""The console of all commands: text from outside is printed as it is, never read as markup, emoji or a number."""

from rich.console import Console


def console(least: int = 0) -> Console:
    """A console on which `[bold]` and `:cat:` in a name are letters.

    Args:
        least: the width that a table needs. It is also read in files and logs, which have no width.
    """
    printer = Console(markup=False, emoji=False, highlight=False)
    printer.width = max(printer.width, least)
    return printer
