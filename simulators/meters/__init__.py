"""Virtual meters that speak the real protocols, coded by the same firmware profiles by which the edge reads real ones."""

from simulators.meters.fleet import LineEndpoint, MeterFleet, VirtualMeter, assign_lines
from simulators.meters.registers import Quantities
from simulators.meters.responder import Fault

__all__ = ["Fault", "LineEndpoint", "MeterFleet", "Quantities", "VirtualMeter", "assign_lines"]
