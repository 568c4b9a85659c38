"""The one table of transaction kinds: a new kind is its record, what it does, and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridcore.transactions.approve_reading import ApproveReading
from gridcore.transactions.clock_accept import ClockAccept
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.dispute_document import DisputeDocument
from gridcore.transactions.dispute_open import DisputeOpen
from gridcore.transactions.dispute_step import DisputeAnswer, DisputeDecision, DisputeWithdrawal
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.governance_vote import GovernanceVote
from gridcore.transactions.interval_import import IntervalImport
from gridcore.transactions.market_cancel import MarketCancel
from gridcore.transactions.market_order import MarketOrder
from gridcore.transactions.market_profile import MarketProfile, ProfileEnd
from gridcore.transactions.open_epoch import OpenEpoch
from gridcore.transactions.order_batch import OrderBatch
from gridcore.transactions.payment import Payment
from gridcore.transactions.reading_batch import ReadingBatch
from gridcore.transactions.registry_approve import RegistryApprove
from gridcore.transactions.registry_register import RegistryRegister
from ledger.kinds.approve_reading import approve_reading
from ledger.kinds.clock_accept import accept_clock
from ledger.kinds.clock_advance import advance_clock
from ledger.kinds.dispute_document import dispute_document
from ledger.kinds.dispute_open import open_dispute
from ledger.kinds.dispute_step import answer_dispute, decide_dispute, withdraw_dispute
from ledger.kinds.governance_propose import propose
from ledger.kinds.governance_vote import vote
from ledger.kinds.interval_import import decode_attached_intervals, take_import
from ledger.kinds.kind import Kind
from ledger.kinds.market_cancel import take_cancel
from ledger.kinds.market_order import take_order
from ledger.kinds.market_profile import end_profile, is_known_profile, take_profile
from ledger.kinds.open_epoch import open_epoch
from ledger.kinds.order_batch import decode_attached_orders, take_order_batch
from ledger.kinds.payment import take_payment
from ledger.kinds.reading_batch import decode_attached, take_batch
from ledger.kinds.registry_approve import approve
from ledger.kinds.registry_register import read_rows, register

KINDS: Final[Mapping[str, Kind[Any]]] = {
    ClockAdvance.kind: Kind("clock", ClockAdvance, advance_clock),
    ClockAccept.kind: Kind("clock", ClockAccept, accept_clock),
    OpenEpoch.kind: Kind("utility", OpenEpoch, open_epoch),
    ApproveReading.kind: Kind("utility", ApproveReading, approve_reading),
    ReadingBatch.kind: Kind("gateway", ReadingBatch, take_batch, decode_attached, is_prunable=True),
    IntervalImport.kind: Kind("gateway", IntervalImport, take_import, decode_attached_intervals),
    RegistryRegister.kind: Kind("administrator", RegistryRegister, register, read_rows),
    RegistryApprove.kind: Kind("administrator", RegistryApprove, approve),
    GovernancePropose.kind: Kind("administrator", GovernancePropose, propose),
    GovernanceVote.kind: Kind("administrator", GovernanceVote, vote),
    MarketOrder.kind: Kind("prosumer", MarketOrder, take_order, is_prunable=True),
    MarketCancel.kind: Kind("prosumer", MarketCancel, take_cancel, is_prunable=True),
    MarketProfile.kind: Kind("prosumer", MarketProfile, take_profile, is_known=is_known_profile),
    ProfileEnd.kind: Kind("prosumer", ProfileEnd, end_profile),
    OrderBatch.kind: Kind("aggregator", OrderBatch, take_order_batch, decode_attached_orders, is_prunable=True),
    DisputeOpen.kind: Kind("prosumer", DisputeOpen, open_dispute),
    DisputeDocument.kind: Kind("prosumer", DisputeDocument, dispute_document),
    DisputeAnswer.kind: Kind("utility", DisputeAnswer, answer_dispute),
    DisputeDecision.kind: Kind("regulator", DisputeDecision, decide_dispute),
    DisputeWithdrawal.kind: Kind("prosumer", DisputeWithdrawal, withdraw_dispute),
    Payment.kind: Kind("utility", Payment, take_payment),
}
