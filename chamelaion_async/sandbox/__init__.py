"""The Chamelaion API imitated on loopback, for tests and for trying things out.

It imports nothing from the rest of the package, so that a mistake about the API cannot hide in both.
"""

from .clock import Clock, ManualClock, WallClock
from .faults import Fault
from .injections import Injection
from .jobs import Job, Upload
from .journal import Received
from .server import Sandbox
from .webhooks import Delivery

__all__ = [
    "Clock",
    "Delivery",
    "Fault",
    "Injection",
    "Job",
    "ManualClock",
    "Received",
    "Sandbox",
    "Upload",
    "WallClock",
]
