"""What the site needs of Sphinx beyond its settings."""

from __future__ import annotations

import re
from typing import Any

import reference
from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


# Commands that the converter lacks, and others that draw the same.
_SYNONYMS = (
    (r"\\dots\b", r"\\ldots"),
    (r"\\Big([(\[])", r"\\Bigl\1"),
    (r"\\Big([)\]])", r"\\Bigr\1"),
)


def mathml(text: str, *, block: bool) -> str:
    """Return an equation in TeX as MathML, which browsers draw without a script or a network."""
    for pattern, replacement in _SYNONYMS:
        text = re.sub(pattern, replacement, text)
    if block and r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    return tex2mathml(text, as_block=block)


def _write(translator: Any, node: nodes.Node, *, block: bool) -> None:
    try:
        translator.body.append(mathml(node.astext(), block=block))
    except MathError as error:
        LOGGER.warning("equation %r: %s", node.astext(), error, location=node)
    raise nodes.SkipNode


def inline_math(translator: Any, node: nodes.math) -> None:
    """Write an equation within a line."""
    _write(translator, node, block=False)


def display_math(translator: Any, node: nodes.math_block) -> None:
    """Write an equation of its own."""
    translator.body.append('<div class="math">')
    try:
        _write(translator, node, block=True)
    finally:
        translator.body.append("</div>")


def resolve(app: Any, environment: Any, node: Any, content: nodes.Element) -> nodes.Element | None:
    """Link what a signature names by the module that defines it to its public page."""
    public = ALIASES.get(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or public is None:
        return None
    domain = environment.domains["py"]
    source = node.get("refdoc", environment.docname)
    return domain.resolve_xref(environment, source, app.builder, "obj", public, node, content)


ALIASES = reference.aliases()


def collapse(
    app: Any, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Open only the branch of a page in the sidebar, which otherwise lists every public name."""
    whole = context.get("toctree")
    if whole is not None:
        context["toctree"] = lambda **options: whole(**(options | {"collapse": True}))


def register(app: Any) -> None:
    """Register all of this with Sphinx."""
    app.add_html_math_renderer("mathml", (inline_math, None), (display_math, None))
    app.connect("missing-reference", resolve)
    # Before the theme draws the sidebar.
    app.connect("html-page-context", collapse, priority=400)
