"""What is derived from the base URL and the credentials of an account: the names of its keys, and the seal."""

from __future__ import annotations

import hmac

import attrs

from .messages import Seal

__all__ = ["Account"]


@attrs.frozen(kw_only=True)
class Account:
    """The names of one account in the engine. All begin with one hash tag, so that one script may use several.

    Attributes:
        tag: The beginning of all its keys, and of its channel.
        channel: Where its processes tell each other.
        presence: The key that says which processes there are.
        seal: Packs its messages.
    """

    tag: str
    channel: str
    presence: str
    seal: Seal
    _names: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, base_url: str, credentials: bytes) -> Account:
        """Derive the names. Neither base URL nor credentials can be read off them."""
        account, messages, readings = (
            hmac.digest(credentials, f"chamelaion-async {purpose} {base_url}".encode(), "sha256")
            for purpose in ("account", "messages", "readings")
        )
        tag = f"{{chamelaion:{account[:16].hex()}}}"
        return cls(
            tag=tag, channel=f"{tag}:messages", presence=f"{tag}:processes", seal=Seal(messages), names=readings
        )

    def claim_key(self, reading: str) -> str:
        """Return the key of the claim of a reading, which may name a person: its hash says nothing."""
        name = hmac.digest(self._names, reading.encode("utf-8", "surrogatepass"), "sha256")[:16].hex()
        return f"{self.tag}:claim:{name}"
