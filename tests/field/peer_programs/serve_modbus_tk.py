"""A Modbus server by modbus-tk: ``serve_modbus_tk.py (tcp | rtu DEVICE) UNIT:FUNCTION:ADDRESS:WORD,WORD...``...

Prints its port (0 on a serial line) and serves until it is killed. Words are hexadecimal; units may stand several times.
"""

import sys
import time

import serial
from modbus_tk import defines, modbus_rtu, modbus_tcp

BLOCKS = {3: defines.HOLDING_REGISTERS, 4: defines.ANALOG_INPUTS}

medium, *units = sys.argv[1:]
if medium == "tcp":
    server = modbus_tcp.TcpServer(port=0, address="127.0.0.1")
else:
    server = modbus_rtu.RtuServer(serial.Serial(units.pop(0), 9600))
slaves = {}
for number, unit in enumerate(units):
    unit_id, function, address, words = unit.split(":")
    values = [int(word, 16) for word in words.split(",")]
    if unit_id not in slaves:
        slaves[unit_id] = server.add_slave(int(unit_id))
    slaves[unit_id].add_block(str(number), BLOCKS[int(function)], int(address), len(values))
    slaves[unit_id].set_values(str(number), int(address), values)
server.start()
while medium == "tcp" and server._sock is None:  # its thread opens it
    time.sleep(0.01)
print(server._sock.getsockname()[1] if medium == "tcp" else 0, flush=True)
sys.stdin.read()
