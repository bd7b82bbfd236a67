"""A study's summary as sentences, figures and one self-contained HTML file."""

from oligolearn.report.conclusion import conclude
from oligolearn.report.figures import figures, write_figures
from oligolearn.report.page import fragment, write_report

__all__ = ["conclude", "figures", "fragment", "write_figures", "write_report"]
