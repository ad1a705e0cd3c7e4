"""The folder of the uploads of a sandbox that runs."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO
from uuid import uuid4

from attrs import define, field


@define(eq=False)
class Spool:
    """A temporary folder, made for the first upload and removed when the sandbox stops."""

    _folder: TemporaryDirectory[str] | None = field(init=False, default=None)

    def create(self) -> tuple[Path, BinaryIO]:
        """Return a new file's path and the file, open for writing."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="chamelaion-sandbox-")
        path = Path(self._folder.name, uuid4().hex)
        return path, path.open("wb")

    async def close(self) -> None:
        """Remove the folder and its files."""
        folder, self._folder = self._folder, None
        if folder is not None:
            await asyncio.to_thread(folder.cleanup)
