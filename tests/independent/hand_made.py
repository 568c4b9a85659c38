"""A demo's folder worked out by hand.

Two areas, two slots, worked out by hand. In A1 a home sells more than it exports and the other buys less than it needs; a load's
register rolls over at 10,000 Wh. In A2 two buys share a sale pro rata, and one of them needs less than it bought.
"""

from __future__ import annotations

FOLDER = {
    "meters.csv": """meter,area,party,role,ratio,resolution_wh,modulus_wh,limit_wh,start_import_wh,start_export_wh
M-H001,A1,H001,household,1,10,0,11000,1005,2003
M-H002,A1,H002,household,1,10,0,11000,500,0
M-L001,A1,L001,load,10,100,10000,9000,9950,0
M-F1,A1,,feeder,120,1200,0,120000,12000,0
M-H003,A2,H003,household,1,10,0,11000,0,0
M-H004,A2,H004,household,1,10,0,11000,0,0
M-H005,A2,H005,household,1,10,0,11000,0,0
M-F2,A2,,feeder,120,1200,0,120000,0,0
""",
    "truth.csv": """slot_start_s,meter,import_wh,export_wh
1000,M-H001,0,40
1000,M-H002,63,0
1000,M-L001,100,0
1000,M-F1,126,0
1000,M-H003,0,40
1000,M-H004,10,0
1000,M-H005,20,0
1000,M-F2,0,9
1900,M-H001,21,0
1900,M-H002,10,0
1900,M-L001,100,0
1900,M-F1,132,0
1900,M-H003,0,0
1900,M-H004,0,0
1900,M-H005,0,0
1900,M-F2,0,0
""",
    "losses.csv": """slot_start_s,area,loss_wh
1000,A1,3
1000,A2,1
1900,A1,1
1900,A2,0
""",
    "registers.csv": """boundary_s,meter,import_wh,export_wh,quality
1000,M-F1,12000,0,measured
1000,M-F2,0,0,measured
1000,M-H001,1000,2000,measured
1000,M-H002,500,0,measured
1000,M-H003,0,0,measured
1000,M-H004,0,0,measured
1000,M-H005,0,0,measured
1000,M-L001,9900,0,measured
1900,M-F1,12000,0,measured
1900,M-F2,0,0,measured
1900,M-H001,1000,2040,measured
1900,M-H002,560,0,measured
1900,M-H003,0,40,measured
1900,M-H004,10,0,measured
1900,M-H005,20,0,measured
1900,M-L001,0,0,measured
2800,M-F1,12000,0,measured
2800,M-F2,0,0,measured
2800,M-H001,1020,2040,measured
2800,M-H002,570,0,measured
2800,M-H003,0,40,measured
2800,M-H004,10,0,measured
2800,M-H005,20,0,measured
2800,M-L001,100,0,measured
""",
    "orders.csv": """slot_start_s,order,party,side,quantity_wh,price_micro_per_kwh
1000,H001/1000/1,H001,sell,50,300000
1000,H002/1000/1,H002,buy,55,400000
1000,H003/1000/1,H003,sell,30,300000
1000,H004/1000/1,H004,buy,40,350000
1000,H005/1000/1,H005,buy,20,350000
1900,H002/1900/1,H002,buy,10,400000
""",
    "fills.csv": """slot_start_s,order,filled_wh,price_micro_per_kwh
1000,H001/1000/1,50,400000
1000,H002/1000/1,50,400000
1000,H003/1000/1,30,350000
1000,H004/1000/1,20,350000
1000,H005/1000/1,10,350000
""",
    "statements.csv": """run,party,slot_start_s,line_kind,energy_wh,price_micro_per_kwh,amount_nano,account
initial,H001,1000,shortfall,10,460000,4600000,balance
initial,H001,1000,trade_sell,50,400000,-20000000,clearing
initial,H001,1900,levy,20,40000,800000,levy
initial,H001,1900,network_residual,20,180000,3600000,network
initial,H001,1900,residual_import,20,460000,9200000,supplier
initial,H002,1000,levy,60,40000,2400000,levy
initial,H002,1000,network_residual,10,180000,1800000,network
initial,H002,1000,network_traded,50,180000,9000000,network
initial,H002,1000,residual_import,10,460000,4600000,supplier
initial,H002,1000,trade_buy,50,400000,20000000,clearing
initial,H002,1900,levy,10,40000,400000,levy
initial,H002,1900,network_residual,10,180000,1800000,network
initial,H002,1900,residual_import,10,460000,4600000,supplier
initial,H003,1000,residual_export,10,280000,-2800000,offtaker
initial,H003,1000,trade_sell,30,350000,-10500000,clearing
initial,H004,1000,levy,10,40000,400000,levy
initial,H004,1000,network_traded,10,180000,1800000,network
initial,H004,1000,surplus,10,280000,-2800000,balance
initial,H004,1000,trade_buy,20,350000,7000000,clearing
initial,H005,1000,levy,20,40000,800000,levy
initial,H005,1000,network_residual,10,180000,1800000,network
initial,H005,1000,network_traded,10,180000,1800000,network
initial,H005,1000,residual_import,10,460000,4600000,supplier
initial,H005,1000,trade_buy,10,350000,3500000,clearing
initial,L001,1000,levy,100,40000,4000000,levy
initial,L001,1000,network_residual,100,180000,18000000,network
initial,L001,1000,residual_import,100,460000,46000000,supplier
initial,L001,1900,levy,100,40000,4000000,levy
initial,L001,1900,network_residual,100,180000,18000000,network
initial,L001,1900,residual_import,100,460000,46000000,supplier
""",
    "postings.csv": """slot_start_s,account,debit_nano,credit_nano,run
1000,H001,4600000,20000000,initial
1000,H002,37800000,0,initial
1000,H003,0,13300000,initial
1000,H004,9200000,2800000,initial
1000,H005,12500000,0,initial
1000,L001,68000000,0,initial
1000,balance,2800000,4600000,initial
1000,clearing,30500000,30500000,initial
1000,levy,0,7600000,initial
1000,network,0,34200000,initial
1000,offtaker,2800000,0,initial
1000,supplier,0,55200000,initial
1900,H001,13600000,0,initial
1900,H002,6800000,0,initial
1900,L001,68000000,0,initial
1900,levy,0,5200000,initial
1900,network,0,23400000,initial
1900,supplier,0,59800000,initial
""",
    "rules.toml": """[prices]
residual_price_micro_per_kwh = 460000
feed_in_price_micro_per_kwh = 280000
surplus_price_micro_per_kwh = 280000
shortfall_price_micro_per_kwh = 460000
network_traded_micro_per_kwh = 180000
network_residual_micro_per_kwh = 180000
levy_micro_per_kwh = 40000
[market]
reference_price_micro_per_kwh = 370000
rationing = "pro_rata"
[timeline]
gate_before_start_s = 300
metering_deadline_s = 900
""",
}
