"""Summaries of studies of any kind, and of motifs, as sentences, figures and one self-contained HTML file."""

from oligolearn.report.kinds import conclude, figures, fragment, write_figures, write_report
from oligolearn.report.motif_page import conclude_motifs, write_motif_report

__all__ = [
    "conclude",
    "conclude_motifs",
    "figures",
    "fragment",
    "write_figures",
    "write_motif_report",
    "write_report",
]
