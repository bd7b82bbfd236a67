"""Summaries of studies, sweeps, transfer and motifs as sentences, figures and one self-contained HTML file."""

from oligolearn.report.conclusion import conclude
from oligolearn.report.figures import figures, write_figures
from oligolearn.report.motif_page import conclude_motifs, write_motif_report
from oligolearn.report.page import fragment, write_report
from oligolearn.report.sweep_conclusion import conclude_sweep
from oligolearn.report.sweep_figures import sweep_figures, write_sweep_figures
from oligolearn.report.sweep_page import sweep_fragment, write_sweep_report
from oligolearn.report.transfer_conclusion import conclude_transfer
from oligolearn.report.transfer_figures import transfer_figures, write_transfer_figures
from oligolearn.report.transfer_page import transfer_fragment, write_transfer_report

__all__ = [
    "conclude",
    "conclude_motifs",
    "conclude_sweep",
    "conclude_transfer",
    "figures",
    "fragment",
    "sweep_figures",
    "sweep_fragment",
    "transfer_figures",
    "transfer_fragment",
    "write_figures",
    "write_motif_report",
    "write_report",
    "write_sweep_figures",
    "write_sweep_report",
    "write_transfer_figures",
    "write_transfer_report",
]
