"""Tariffs as ``rules.toml`` has them, for folders whose points are P1 of M1 and P2 of M2."""

from __future__ import annotations

GROUPS = """
[invoice]
tax_ppm = 130000
quantum_nano = 1000000
rounding = "half_even"

[tariff]
accounts = ["town \\"A\\""]

[[tariff.component]]
name = "energy"
account = "town \\"A\\""
base = "import"
price_micro_per_kwh = 50001
parties = ["M1"]
valid_until = 2025-06-01

[[tariff.component]]
name = "energy"
account = "town \\"A\\""
base = "import"
price_micro_per_kwh = 60001
parties = ["M1"]
valid_from = 2025-06-01

[[tariff.component]]
name = "energy"
account = "town \\"A\\""
base = "import"
price_micro_per_kwh = -7
parties = ["M2"]

[[tariff.component]]
name = "night"
account = "grid"
base = "export"
price_micro_per_kwh = 11
windows = [["00:00", "00:15:01"], ["23:00", "24:00"]]
weekdays = [6, 7]
months = [5, 6]
taxed = false

[[tariff.component]]
name = "demand"
account = "grid"
base = "kw_contracted"
price_micro_per_kw_month = 32000000
contracted_kw = {M1 = "7.5", M2 = 3}
tax_ppm = 60000

[[tariff.component]]
name = "peak"
account = "grid"
base = "kw_peak"
peak_of = "point"
price_micro_per_kw_month = 1000000

[[tariff.component]]
name = "stay"
account = "grid"
base = "day"
price_micro_per_day = 70000

[[tariff.component]]
name = "factor"
account = "funds"
base = "percent"
share_ppm = -7500
of = ["energy", "demand", "levy"]
"""
"""Every base, entries of one name for some parties each, and every word of ``[invoice]``."""
SERIES_LEVELS_AND_STEPS = """
[[tariff.component]]
name = "market"
account = "grid"
base = "residual"
price_series = "spot"

[[tariff.component]]
name = "grid_traded"
account = "grid"
base = "traded"
levels = [["10kV", 200000], ["35kV", 170000]]
highest_level = "35kV"
user_level = "10kV"

[[tariff.component]]
name = "block"
account = "grid"
base = "import"
steps = [{until_kwh = "0.125", price_micro_per_kwh = 5}, {price_micro_per_kwh = 9}]
steps_per = "year"
"""

BY_DAYS = """
[invoice]
tax_ppm = 130000
rounding = "half_even"

[[invoice.later_rates]]
valid_from = 2025-06-15
tax_ppm = 90000

[tariff.days]
holiday = [2025-06-14]

[[tariff.component]]
name = "holiday"
account = "grid"
base = "import"
price_micro_per_kwh = 50001
day_kinds = ["holiday"]

[[tariff.component]]
name = "rest"
account = "grid"
base = "kw_peak"
price_micro_per_kw_month = 1000003
day_kinds = ["weekend", "workday"]

[[tariff.component]]
name = "stepped"
account = "grid"
base = "import"
steps = [{until_kwh = 5, price_micro_per_kwh = 10001}, {price_micro_per_kwh = 30001}]
tax_ppm = 160000
valid_until = 2025-06-15

[[tariff.component]]
name = "stepped"
account = "grid"
base = "import"
steps = [{until_kwh = 5, price_micro_per_kwh = 10001}, {price_micro_per_kwh = 30001}]
valid_from = 2025-06-15

[[tariff.component]]
name = "factor"
account = "grid"
base = "percent"
power_factor_standard = 90
of = ["stepped", "levy"]
"""
"""A rate of tax, days and a component's own rate that change on 15 June, and a share by the power factor."""
