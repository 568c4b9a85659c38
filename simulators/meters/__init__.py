"""Virtual meters and devices that speak the real protocols, coded by the same profiles by which the edge reads real ones."""

from simulators.meters.broker import RunningBroker, mosquitto_program, open_broker
from simulators.meters.fleet import LineEndpoint, MeterFleet, VirtualMeter, assign_lines
from simulators.meters.mqtt_devices import DeviceFault, MqttFleet, VirtualDevice
from simulators.meters.registers import Quantities
from simulators.meters.responder import Fault

__all__ = [
    "DeviceFault",
    "Fault",
    "LineEndpoint",
    "MeterFleet",
    "MqttFleet",
    "Quantities",
    "RunningBroker",
    "VirtualDevice",
    "VirtualMeter",
    "assign_lines",
    "mosquitto_program",
    "open_broker",
]
