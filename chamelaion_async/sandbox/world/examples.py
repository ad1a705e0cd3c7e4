"""The documented example requests, which answer in every sandbox, and a finished translation."""

from collections.abc import Mapping
from typing import Any

from .jobs import NOT_ACCESSIBLE, Family, Job
from .timestamps import parse_rfc3339


def example_jobs() -> Mapping[Family, tuple[Job, ...]]:
    """Return the examples of the API reference, and a translation under the id that the reference shows.

    The reference shows no times for the translation; they are assumed.
    """
    completed = _example(
        "6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8",
        created_at="2026-04-07T10:00:00Z",
        output_name="6f82a2d8.mp4",
        reference_id="dub-episode-42",
    )
    failed = _example(
        "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        created_at="2026-04-07T11:00:00Z",
        queue_seconds=4.0,
        job_seconds=12.0,
        output_name="a1b2c3d4.mp4",
        reference_id="dub-episode-43",
        error_message=NOT_ACCESSIBLE,
    )
    translated = _example(
        "9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55",
        family="video_translate",
        created_at="2026-04-07T10:00:00Z",
        output_name="9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55",
        payload={"target_languages": ["de"], "config": {"speaker_voices": {"0": "voice-id"}}},
    )
    return {"lipsync": (completed, failed), "video_translate": (translated,)}


def _example(id: str, *, created_at: str, **fields: Any) -> Job:
    defaults: dict[str, Any] = {"family": "lipsync", "queue_seconds": 5.0, "job_seconds": 90.0}
    times = {"created_at": parse_rfc3339(created_at)}
    return Job(id=id, is_example=True, has_ended=True, **{**defaults, **times, **fields})
