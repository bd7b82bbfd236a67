"""Importing this lets Python look for unreachable objects less often: in the command's processes, and in their workers.

torch, scikit-learn and anndata make hundreds of thousands of objects, which all stay. To look through them after every
700 new ones, as Python does by default, takes a fifth of the time of their import. A library may not decide that for
the program that uses it, so that nothing but the command and the server of workers imports this.
"""

import gc

gc.set_threshold(50_000, 100, 100)
