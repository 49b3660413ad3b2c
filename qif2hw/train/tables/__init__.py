"""Networks for tables of data: `table_task` makes the task, `qif2hw.train.train` trains it."""

from qif2hw.train.tables.problem import TableOptions, table_task

__all__ = ["TableOptions", "table_task"]
