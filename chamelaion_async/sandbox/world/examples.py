"""The documented example requests, which answer in every sandbox, and a finished translation."""

from collections.abc import Mapping
from functools import partial

from .jobs import NOT_ACCESSIBLE, Family, Job
from .timestamps import parse_rfc3339

_example = partial(Job, queue_seconds=5.0, job_seconds=90.0, is_example=True, has_ended=True)


def example_jobs() -> Mapping[Family, tuple[Job, ...]]:
    """Return the examples of the API reference, and a translation under the id that the reference shows.

    The reference shows no times for the translation; they are assumed.
    """
    return {
        "lipsync": (
            _example(
                id="6f82a2d8-a6d4-4e8a-a0fa-e8b09823a2d8",
                family="lipsync",
                reference_id="dub-episode-42",
                created_at=parse_rfc3339("2026-04-07T10:00:00Z"),
                output_name="6f82a2d8.mp4",
            ),
            _example(
                id="a1b2c3d4-e5f6-7890-abcd-ef1234567890",
                family="lipsync",
                reference_id="dub-episode-43",
                created_at=parse_rfc3339("2026-04-07T11:00:00Z"),
                queue_seconds=4.0,
                job_seconds=12.0,
                error_message=NOT_ACCESSIBLE,
                output_name="a1b2c3d4.mp4",
            ),
        ),
        "video_translate": (
            _example(
                id="9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55",
                family="video_translate",
                created_at=parse_rfc3339("2026-04-07T10:00:00Z"),
                payload={
                    "target_languages": ["de"],
                    "model": "expressive",
                    "config": {"speaker_voices": {"0": "voice-id"}},
                },
                output_name="9d3a0d2e-5f0f-4c9b-8a10-4b1f0c6f7a55",
            ),
        ),
    }
