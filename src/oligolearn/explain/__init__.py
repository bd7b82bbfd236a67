"""What a trained model of sequences has learned: motifs, where they stand, what they are for."""

from oligolearn.explain.effects import Effect, Enrichment, enrichment, filter_effects, filter_enrichment, target_codes
from oligolearn.explain.filters import Filter, filter_motifs, has_filters, rows_with_sites
from oligolearn.explain.matching import Match, Similarities, match_motifs, similarities
from oligolearn.explain.meme import meme_text, read_meme, write_meme
from oligolearn.explain.motif import Motif, Sites, motif_of

__all__ = [
    "Effect",
    "Enrichment",
    "Filter",
    "Match",
    "Motif",
    "Similarities",
    "Sites",
    "enrichment",
    "filter_effects",
    "filter_enrichment",
    "filter_motifs",
    "has_filters",
    "match_motifs",
    "meme_text",
    "motif_of",
    "read_meme",
    "rows_with_sites",
    "similarities",
    "target_codes",
    "write_meme",
]
