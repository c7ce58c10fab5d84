"""`metrics.csv`: the rows of `metrics.jsonl` as a table, for spreadsheets and pandas.

It has a column for each value that has occurred, in the order in which they first did. When a new one occurs, the file
is written anew with its column, which is empty in the rows above, as is a value that is not finite.
"""

import json
from typing import Any

from genlab.callbacks.logger import Logger, RunRecord
from genlab.system.files import csv_text, replace_text


class CsvFile(Logger):
    """Follows `MetricsFile`, which is notified first and holds all rows: a resumed run has those that it kept."""

    key = "csv"

    def __init__(self, run: RunRecord):
        self.folder = run.folder
        self.columns: list[str] = []

    def begin(self, step: int) -> None:
        self._write_all()

    def scalars(self, values: dict[str, float], step: int) -> None:
        row = json.loads(json.dumps({"step": step} | values), parse_constant=lambda word: None)
        if not row.keys() <= set(self.columns):
            self._write_all()
            return
        with self.folder.metrics_table.open("a", encoding="utf-8", newline="") as file:
            file.write(csv_text([self._cells(row)]))

    def _write_all(self) -> None:
        rows = []
        if self.folder.metrics.exists():
            rows = [json.loads(line) for line in self.folder.metrics.read_text(encoding="utf-8").splitlines()]
        self.columns = list(dict.fromkeys(name for row in rows for name in row)) or ["step"]
        replace_text(self.folder.metrics_table, csv_text([self.columns, *map(self._cells, rows)]), durable=False)

    def _cells(self, row: dict[str, Any]) -> list[Any]:
        return [row.get(name) for name in self.columns]
