"""Virtual meters and devices that speak the real protocols, coded by the same profiles by which the edge reads real ones."""

from simulators.meters.broker import RunningBroker, mosquitto_program, open_broker
from simulators.meters.bus import Wire
from simulators.meters.faults import Fault, LineFault
from simulators.meters.fleet import LineEndpoint, MeterFleet, VirtualMeter, assign_lines
from simulators.meters.mqtt_devices import DeviceFault, MqttFleet, VirtualDevice
from simulators.meters.station import Quantities

__all__ = [
    "DeviceFault",
    "Fault",
    "LineEndpoint",
    "LineFault",
    "MeterFleet",
    "MqttFleet",
    "Quantities",
    "RunningBroker",
    "VirtualDevice",
    "VirtualMeter",
    "Wire",
    "assign_lines",
    "mosquitto_program",
    "open_broker",
]
