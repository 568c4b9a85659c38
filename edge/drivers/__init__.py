"""The ways to a meter, one module each; here the numbers of Modbus that need no driver to be known."""

UNIT_ID_MAX = 247
"""Highest address of a device (Modbus over serial line 1.02, 2.2)."""
PORT_DEFAULT = 502
"""Where Modbus TCP listens (Modbus messaging on TCP/IP 1.0b, 4.3.1)."""
