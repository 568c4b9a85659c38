"""A DL/T 645 meter by the server of PyPI ``dlt645``, over TCP: ``serve_dlt645.py ADDRESS DATA_ID=VALUE...``.

Prints its port and serves until it is killed. Values are in the item's unit; the package takes addresses in the order of the wire.
"""

import sys

from dlt645.service.serversvc.server_service import MeterServerService

address, *items = sys.argv[1:]
meter = MeterServerService.new_tcp_server("127.0.0.1", 0)
meter.set_address(bytes.fromhex(address)[::-1])
for item in items:
    data_id, _, value = item.partition("=")
    meter.set_00(int(data_id, 16), float(value))
meter.server.start()
print(meter.server.port, flush=True)
sys.stdin.read()
