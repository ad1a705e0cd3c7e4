"""One HTTP call, from its arguments to its answer.

::

    Transport.send ── repeat (retry) ── Lane (concurrency, rate) ── exchange ── session ── aiohttp
         │                                                            │
         └── decode, structure (answers, decoding)                    └── CancelScope (lifecycle)

``Transport`` sends a ``Call``: it waits for a slot of the lane, exchanges it with the service once, repeats it where
that is safe, and decodes the answer. ``Lifecycle`` holds the session and ends what is under way when the client
closes. A header for every call goes into ``headers.EVERY_CALL``, a status into ``errors.STATUS_ERRORS``.
"""
