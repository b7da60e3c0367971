"""Published tables by name, for `wholeframe compare --table`."""

from wholeframe.recipes.tables import context, non_local
from wholeframe.recipes.tables.table import Row as Row
from wholeframe.recipes.tables.table import Table as Table

TABLES: dict[str, Table] = {**non_local.TABLES, **context.TABLES}
