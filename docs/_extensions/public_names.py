"""Describes the resources of a client by the names that users call, such as ``client.lipsync.generate()``.

Their classes are made by the client and imported by no program, so a page that names their modules would name nothing
that a reader can use. The heading above a class has its public name.
"""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

RESOURCES = {
    "chamelaion_async.resources.account.HealthResource": "client.health",
    "chamelaion_async.resources.account.UsersResource": "client.users",
    "chamelaion_async.resources.lipsync.LipsyncResource": "client.lipsync",
    "chamelaion_async.resources.lipsync.LipsyncRequests": "client.lipsync.requests",
    "chamelaion_async.resources.video_translate.VideoTranslateResource": "client.video_translate",
    "chamelaion_async.resources.video_translate.VideoTranslateRequests": "client.video_translate.requests",
    "chamelaion_async.resources.voices.VoicesResource": "client.video_translate.voices",
}


def rename(_: Sphinx, doctree: nodes.document) -> None:
    """Name methods after their resource, and leave out the line of its class. Links to that lead to the text."""
    for described in list(doctree.findall(addnodes.desc)):
        signature, content = described[0], described[-1]
        owner, _, method = signature["ids"][0].rpartition(".") if signature["ids"] else ("", "", "")
        if owner in RESOURCES:
            name = next(signature.findall(addnodes.desc_name))
            name.parent.insert(name.parent.index(name), addnodes.desc_addname("", f"{RESOURCES[owner]}."))
        elif f"{owner}.{method}" in RESOURCES:
            described.replace_self([nodes.target(ids=signature["ids"]), *content.children])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", rename, priority=100)  # before the contents of pages are collected
    return {"parallel_read_safe": True, "parallel_write_safe": True}
