"""What a trained model of sequences has learned: motifs, where they stand, what they are for."""

from oligolearn.explain.attention import AttentionMaps, attention_maps, has_attention
from oligolearn.explain.attributions import Attributions, ConvergenceError, attribute
from oligolearn.explain.effects import Effect, Enrichment, enrichment, filter_effects, filter_enrichment, target_codes
from oligolearn.explain.filters import Filter, filter_motifs, has_filters, of_label, rows_with_sites
from oligolearn.explain.finding import FoundMotif, FoundMotifs, find_motifs, motif_table, some_sequences
from oligolearn.explain.matching import Match, Similarities, match_motifs, read_database, similarities
from oligolearn.explain.meme import meme_text, read_meme, write_meme
from oligolearn.explain.motif import Motif, Sites, motif_of
from oligolearn.explain.scanning import rows_with_hits, scan_motif
from oligolearn.explain.seqlets import Cluster, Seqlets, cluster_seqlets, find_seqlets
from oligolearn.explain.spacing import Spacing, spacings
from oligolearn.explain.summary import summarise

__all__ = [
    "AttentionMaps",
    "Attributions",
    "Cluster",
    "ConvergenceError",
    "Effect",
    "Enrichment",
    "Filter",
    "FoundMotif",
    "FoundMotifs",
    "Match",
    "Motif",
    "Seqlets",
    "Similarities",
    "Sites",
    "Spacing",
    "attention_maps",
    "attribute",
    "cluster_seqlets",
    "enrichment",
    "filter_effects",
    "filter_enrichment",
    "filter_motifs",
    "find_motifs",
    "find_seqlets",
    "has_attention",
    "has_filters",
    "match_motifs",
    "meme_text",
    "motif_of",
    "motif_table",
    "of_label",
    "read_database",
    "read_meme",
    "rows_with_hits",
    "rows_with_sites",
    "scan_motif",
    "similarities",
    "some_sequences",
    "spacings",
    "summarise",
    "target_codes",
    "write_meme",
]
