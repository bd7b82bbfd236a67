"""The summary of a study, a sweep or a transfer study as sentences, figures and one self-contained HTML file."""

from oligolearn.report.kinds import conclude, figures, fragment, write_figures, write_report

__all__ = ["conclude", "figures", "fragment", "write_figures", "write_report"]
