"""The rate of all processes on one account, as a gate on the server that hands out times.

::

    SharedBudget --> LaneGate --> gate.lua, with rate.lua      one LaneGate for each lane
                        |--> News       what the gate is to be told
                        `--> Alone      while the engine is gone
"""

from __future__ import annotations

from .budget import SharedBudget

__all__ = ["SharedBudget"]
