"""How Sphinx builds the documentation; `make docs` runs it, and a warning is an error."""

import importlib.metadata

project = "oligolearn"
author = "The oligolearn developers"
copyright = "2026, The oligolearn developers"
release = importlib.metadata.version("oligolearn")
version = release

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# A package's page lists what its `__all__` lists, wherever in the package that is written.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
# scikit-learn writes these, with links to its own pages.
requests = ("fit", "partial_fit", "predict", "predict_proba", "score", "transform")
autodoc_default_options = {"exclude-members": ", ".join(f"set_{method}_request" for method in requests)}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"  # numpydoc lists the parameters without types: the signature has them
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
# scikit-learn's and torch's inherited methods are documented there, and each class page lists its own.
numpydoc_show_class_members = False
numpydoc_validation_checks = {"PR02"}  # a documented parameter that does not exist
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"oligolearn {release}"
