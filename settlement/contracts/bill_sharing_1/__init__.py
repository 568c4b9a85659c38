"""``bill_sharing/1``: a community shares the bill of a month: its import is paid by deficits, its export earned by surpluses.

What the sharing must yield, exactly, is said by ``bill_sharing/1`` of the conformance vectors; network charge and levy are those of
``slot_settlement/1``, slot by slot. The community's own money is settled in the last slot of each period, a month of the area's calendar.
"""

from __future__ import annotations

from settlement.contracts.bill_sharing_1.bill import Bill, Exchange, exchange, share_bill
from settlement.contracts.bill_sharing_1.slot import CONTRACT, BillSharing

__all__ = ["CONTRACT", "Bill", "BillSharing", "Exchange", "exchange", "share_bill"]
