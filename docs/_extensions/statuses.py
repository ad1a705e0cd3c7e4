"""Lets readers search for a status such as 429."""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish


class SearchWithStatuses(SearchEnglish):
    """Takes statuses for words. Sphinx keeps bare numbers out of its index, and out of queries."""

    js_splitter_code = """
function splitQuery(query) {
  const words = query.split(/[^\\p{Letter}\\p{Number}_]+/gu).filter((word) => word);
  return words.map((word) => (/^[1-5][0-9][0-9]$/.test(word) ? "http" + word : word));
}
"""

    def split(self, input: str) -> list[str]:
        return [f"http{word}" if re.fullmatch("[1-5][0-9][0-9]", word) else word for word in super().split(input)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_search_language(SearchWithStatuses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
