"""What the folder of a study of any kind holds for its reader: table, summary, figures and report."""

from pathlib import Path
from typing import Any

import pandas as pd

from oligolearn.saving import write_json
from oligolearn.writing import write_text


def write_outputs(folder: Path, table: pd.DataFrame, summary: dict[str, Any]) -> None:
    """Write `results.csv`, `summary.json`, `figures/` and `report.html`, each whole or not at all."""
    from oligolearn.report import write_figures, write_report  # training must not wait for what draws

    write_text(folder / "results.csv", table.to_csv(index=False, lineterminator="\n"))
    write_json(folder / "summary.json", summary)
    write_figures(summary, folder / "figures")
    write_report(summary, folder / "report.html")
