"""`python -m oligolearn.explain` compiles what compares motifs, so that the first command need not: a minute or two."""

import numpy as np

from oligolearn.explain.matching import similarities
from oligolearn.explain.motif import Motif

_BOX = Motif("box", "ACGT", np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7], [0.1, 0.6, 0.2, 0.1]]), 20)

similarities([_BOX], [_BOX._replace(probabilities=np.roll(_BOX.probabilities, i)) for i in range(4)])
