"""Puts SVG drawings into the page itself, so that the theme that a reader has chosen there reaches them.

A picture in an ``img`` cannot know of the page's own button: it goes by what the system of the reader prefers. In the
page, the words of a drawing can be selected too, and what its marks say shows when they are pointed at.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform


class Inline(SphinxPostTransform):
    """Replaces each image that is an SVG of this project with the SVG, in a box that scrolls where it is narrow."""

    default_priority = 5  # before images are converted
    formats = ("html",)

    def run(self) -> None:
        for image in list(self.document.findall(nodes.image)):
            if image["uri"].endswith(".svg") and ":" not in image["uri"]:
                drawing = Path(self.app.srcdir, image["uri"]).read_text("utf-8")
                image.replace_self(nodes.raw("", f'<div class="drawing">{drawing}</div>', format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(Inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
