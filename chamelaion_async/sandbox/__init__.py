"""The Chamelaion API imitated on loopback, for tests and for trying things out.

It imports nothing from the rest of the package, so that a mistake about the API cannot hide in both.
"""

from .front.faults import Fault
from .front.injections import Injection
from .server import Sandbox
from .world.clock import Clock, ManualClock, WallClock
from .world.jobs import Job, Upload
from .world.journal import Received
from .world.webhooks import Delivery

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
