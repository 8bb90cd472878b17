"""Settings of the site. CONTRIBUTING.md has the command that builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import commands
import gallery
import hooks
import matplotlib as mpl
import pictures
import reference

import sparsebrain

project = "sparsebrain"
author = "The sparsebrain developers"
project_copyright = author
version = release = sparsebrain.__version__

# The sources are the whole repository, so that pages, notebooks and tables stand where they are.
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "examples/*.ipynb",
    "examples/*/README.md",
    "benchmarks/measured/README.md",
    "graphs/brains/data/README.md",
    "sparsebrain/models/data/README.md",
    "sparsebrain/experiments/one_shot_study/data/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = ["**/.*", ".*", "build", "dist", "results", "site", "**/__pycache__"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
# Tests execute the notebooks; the site shows what they saved.
nb_execution_mode = "off"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
# Texts of Returns may have colons, which napoleon would take for the end of a type.
napoleon_custom_sections = [("Attributes", "params_style"), "Returns", "Shape"]
default_role = "py:obj"
# A link to a name of this project that does not exist is an error. There is no network in which
# names of other projects could be looked up.
nitpicky = True
nitpick_ignore_regex = [("py:obj", ".*"), ("py:.*", r"(?!graphs\.|sparsebrain\.).*")]
# Types and functions of single modules occur in signatures and are no part of the interface.
nitpick_ignore_regex += [
    ("py:(class|func|data)", r"(graphs|sparsebrain\.\w+)\.[a-z_]+\..+"),
    ("py:mod", r"sparsebrain\.\w+\.\w+"),
    ("py:class", r"sparsebrain\.locations\.Entry"),  # a type variable
]
add_module_names = False
toc_object_entries = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = f"sparsebrain {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# The address of the site itself leads to the first page.
html_extra_path = ["_redirect"]
html_copy_source = False
html_math_renderer = "mathml"


def setup(app: object) -> None:
    """Write the pages that are generated, and register what Sphinx lacks."""
    root = Path(__file__).parents[1]
    mpl.use("Agg")
    gallery.write(root)
    commands.write(root)
    reference.write(root, pictures.write(root))
    hooks.register(app)
