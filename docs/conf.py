"""Settings of the documentation build; it needs no network."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import chamelaion_async
from chamelaion_async import redis, sandbox, testing

project = "chamelaion-async"
author = "the chamelaion-async contributors"
project_copyright = author
version = release = chamelaion_async.__version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "drawings",
    "outputs",
    "public_names",
    "statuses",
]
exclude_patterns = ["_build", "examples"]
nitpicky = True
# What signatures name without it being public API: type variables, an alias, a protocol, and classes of the standard
# library and aiohttp that only their own documentation could describe.
nitpick_ignore_regex = [
    ("py:.*", r"(.*\.)?(T_co|J|FormFile)|Chunks|Any|Self|Literal|TracebackType|RetryCallState"),
    ("py:.*", r"(.*\.)?(aioresponses|MeterProvider|TracerProvider)"),
    ("py:class", "datetime"),  # of a union of the standard library's types, which has no module
    ("py:.*", r"(collections|collections\.abc|datetime|types|typing|enum|abc|os|aiohttp|yarl|tenacity|pathlib)\..*"),
    ("py:.*", r"bool|bytes|dict|float|int|list|str|tuple|None"),
    ("py:.*", r"Exception|KeyError|OSError|AssertionError|RuntimeError|TimeoutError|TypeError|ValueError"),
]

default_role = "code"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_mock_imports = ["opentelemetry"]  # its names are not described here
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"chamelaion-async {version}"
html_copy_source = False
html_show_sphinx = False
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_favicon = "_static/favicon.svg"
html_search_scorer = str(
    Path(__file__).parent / "_extensions" / "scorer.js"
)  # Sphinx 9 opens it from the working directory
toc_object_entries_show_parents = "hide"

# What is typed is copied, without its prompt; what is printed has no button.
copybutton_selector = "div:not(.output) > div.highlight > pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

MODELS = {
    "chamelaion_async.resources.lipsync": "LipsyncRequest",
    "chamelaion_async.resources.video_translate": "VideoTranslateRequest",
}

# Readers import from the package, not from the modules that it is made of: show and link the names as they are used.
for module in (chamelaion_async, redis, sandbox, testing):
    for name in module.__all__:
        if isinstance(value := getattr(module, name), type):
            value.__module__ = module.__name__


def plain_words(*event: Any) -> None:
    """Keep what docstrings say in plain words from being read as markup."""
    what, lines = event[1], event[-1]
    lines[:] = [re.sub(r'"[^"]*\*"', r"``\g<0>``", line) for line in lines]
    if what == "property":
        # napoleon takes the words before a colon in the first line for a type; an empty comment has none.
        lines[:0] = ["..", ""]


def plain_signature(*event: Any) -> tuple[str | None, str | None]:
    """Show default policies as users write them, and the model of a family in place of its type variable."""
    name, signature, returns = event[2], event[-2], event[-1]
    model = next((model for family, model in MODELS.items() if name.startswith(family)), "J")
    for old, new in (
        (r"(Pace|PollPolicy|RetryPolicy)\(\w+=.*?\)", r"\1()"),
        (r"\bNOTHING\b", "WallClock()"),
        (r"~?(?:\w+\.)*\bJ\b", model),
        # typing made this one before the names above were changed.
        (r"\bchamelaion_async\.models\.Page\b", "chamelaion_async.Page"),
    ):
        signature = signature and re.sub(old, new, signature)
        returns = returns and re.sub(old, new, returns)
    return signature, returns


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", plain_words, priority=100)
    app.connect("autodoc-process-signature", plain_signature)
