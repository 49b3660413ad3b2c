"""Networks for tables of data: `table_task` makes the task, `qif2hw.train.train` trains it.

`choose_fields` compares numbers of receptive fields on the validation set beforehand.
"""

from qif2hw.train.tables.choice import Comparison, choose_fields
from qif2hw.train.tables.problem import TableOptions, table_task

__all__ = ["Comparison", "TableOptions", "choose_fields", "table_task"]
