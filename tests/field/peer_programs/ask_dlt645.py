"""Read a DL/T 645 meter with the client of PyPI ``dlt645``: ``ask_dlt645.py (tcp PORT | rtu DEVICE) ADDRESS DATA_ID...``.

Prints one JSON object: the address that a wildcard finds ("" where nobody answers it properly), and the value of each data id.
The package takes and gives addresses in the order of the wire, least significant byte first.
"""

import json
import sys

from dlt645.service.clientsvc.client_service import MeterClientService


def turned(address: str) -> str:
    """The address in the other byte order."""
    return bytes.fromhex(address)[::-1].hex()


medium, place, own, *data_ids = sys.argv[1:]
if medium == "tcp":
    client = MeterClientService.new_tcp_client("127.0.0.1", int(place), 3.0)
else:
    client = MeterClientService.new_rtu_client(place, 2400, 8, 1, "N", 3.0)  # a pty has no parity
client.set_address(turned(own))
found = client.read_address()
client.set_address(turned(own))
values = {}
for data_id in data_ids:
    number = int(data_id, 16)
    read = client.read_00 if number >> 24 == 0 else client.read_02 if number >> 24 == 2 else client.read_04
    item = read(number)
    values[data_id] = None if item is None else str(item.value)
print(json.dumps({"address": "" if found is None else turned(found.value), "values": values}))
