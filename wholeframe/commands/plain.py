"""The console of all commands: text from outside is printed as it is, never read as markup, emoji or a number."""

from rich.console import Console


def console() -> Console:
    """A console on which `[bold]` and `:cat:` in a name are letters."""
    return Console(markup=False, emoji=False, highlight=False)
