"""Authentication: the five documented 401 texts and the cause of each.

The reference lists the texts, not their causes. Assumed here:

- missing authorization header: neither Authorization nor x-api-key was sent.
- invalid authorization format: Authorization is not of the form "Bearer KEY".
- missing token: "Bearer" without a key, or an empty x-api-key. What follows "Bearer" is the key, blanks included: the
  vendor's client sends a token as it is, and its own tests use one with blanks.
- invalid token: the key is not among the accepted ones.
- unauthorized: the key was accepted once and has been revoked.

x-api-key is read if there is no Authorization header; if both are sent, Authorization decides.
"""

from collections.abc import Iterable, Mapping

from attrs import define, field

from ..endpoints.answers import ApiError

DEFAULT_NAME = "production-key"


def _names(keys: Iterable[str] | Mapping[str, str] | None) -> Mapping[str, str] | None:
    if isinstance(keys, str):
        raise TypeError("keys must be a collection of keys, not one key")
    if keys is None or isinstance(keys, Mapping):
        return None if keys is None else dict(keys)
    return {key: f"key-{number}" for number, key in enumerate(keys, 1)}


@define(eq=False)
class Keys:
    """The keys that are accepted.

    Args:
        names: accepted keys, or display names by key; None accepts any key that is not empty.
        revoked: keys that are no longer accepted.

    Raises:
        TypeError: if names is a single key.
    """

    names: Mapping[str, str] | None = field(converter=_names, repr=False)
    revoked: set[str] = field(init=False, factory=set, repr=False)

    def name_of(self, headers: Mapping[str, str]) -> str:
        """Return the display name of the key that a request carries.

        Args:
            headers: of the request, a mapping that ignores case.

        Raises:
            ApiError: 401, if there is no key, or none that is accepted.
        """
        key = _key(headers)
        if key in self.revoked:
            raise ApiError(401, "unauthorized")
        if self.names is None:
            return DEFAULT_NAME
        if key not in self.names:
            raise ApiError(401, "invalid token")
        return self.names[key]


def _key(headers: Mapping[str, str]) -> str:
    authorization = headers.get("Authorization")
    if authorization is None:
        key = headers.get("x-api-key")
        if key is None:
            raise ApiError(401, "missing authorization header")
    else:
        scheme, _, key = authorization.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise ApiError(401, "invalid authorization format")
    if not key.strip():
        raise ApiError(401, "missing token")
    return key.strip()
