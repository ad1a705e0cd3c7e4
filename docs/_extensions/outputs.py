"""Tells what a block prints from what a reader types.

A ``text`` block right after a ``python`` block is its output, as ``tests/test_docs.py`` has it.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class Outputs(SphinxTransform):
    """Gives outputs a class of their own."""

    default_priority = 500

    def apply(self) -> None:
        for block in self.document.findall(nodes.literal_block):
            before = block.previous_sibling()
            is_after_python = isinstance(before, nodes.literal_block) and before.get("language") == "python"
            if is_after_python and block.get("language") == "text":
                block["classes"].append("output")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(Outputs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
