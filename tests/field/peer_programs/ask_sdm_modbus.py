"""Read everything that sdm_modbus knows of an SDM630: ``ask_sdm_modbus.py PORT UNIT`` prints one JSON object."""

import json
import sys

import sdm_modbus

meter = sdm_modbus.SDM630(host="127.0.0.1", port=int(sys.argv[1]), unit=int(sys.argv[2]), timeout=5)
print(
    json.dumps(
        {
            "known": sorted(meter.registers),
            "input": meter.read_all(sdm_modbus.registerType.INPUT),
            "holding": meter.read_all(sdm_modbus.registerType.HOLDING),
        }
    )
)
