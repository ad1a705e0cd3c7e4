"""The settings of a sandbox; the docstring of `Sandbox` describes them."""

from collections.abc import Iterable, Mapping

from attrs import define, field
from attrs.validators import ge, gt, instance_of, optional

from .clock import Clock, WallClock


@define(kw_only=True, eq=False)
class Settings:
    """The settings of a sandbox."""

    job_seconds: float = field(default=2.0, validator=ge(0))
    queue_seconds: float | None = field(default=None, validator=optional(ge(0)))
    host: str = field(default="127.0.0.1", validator=instance_of(str))
    port: int = field(default=0, validator=[instance_of(int), ge(0)])
    keys: Iterable[str] | Mapping[str, str] | None = field(default=None, repr=False)
    rate_limit: float | None = field(default=None, validator=optional(gt(0)))
    generate_limit: float | None = field(default=None, validator=optional(gt(0)))
    retry_after: float | str | None = "auto"
    page_cap: int = field(default=100, validator=[instance_of(int), gt(0)])
    token_limit: int | None = field(default=None, validator=optional(ge(0)))
    clock: Clock = field(factory=WallClock)
    list_lag: float = field(default=0.0, validator=ge(0))
    list_stale: float = field(default=0.0, validator=ge(0))
    seed: int = 0
    remember: int = field(default=10_000, validator=ge(0))

    @queue_seconds.validator
    def _within_job(self, _attribute: object, value: float | None) -> None:
        if value is not None and value > self.job_seconds:
            raise ValueError("'queue_seconds' must not exceed 'job_seconds'")
