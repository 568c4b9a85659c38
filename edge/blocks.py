"""Which requests read a meter: as few as its profile allows, and none that a late answer to another could satisfy.

An answer in RTU framing does not say which registers it holds, only how many words. Therefore the billing block has a word
count of its own among all blocks of a meter, and its second reading asks for one known neighbour more: an answer that
comes late fits neither a telemetry request nor the other half of a double reading. (Draining the line after a timeout
comes first; this stands behind it. Background: an RTU answer that arrives late is otherwise given to the next request.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from firmware_profiles.modbus import ModbusPoint, ModbusProfile, known_registers


@dataclass(frozen=True, slots=True)
class Block:
    """One read request: ``count`` registers from ``address``, and the points that lie inside."""

    function_code: int
    address: int
    count: int
    points: tuple[ModbusPoint, ...]

    def words_of(self, point: ModbusPoint, words: Sequence[int]) -> Sequence[int]:
        """Return the part of the answer ``words`` that belongs to ``point``, in decode order."""
        return [words[register - self.address] for register in point.registers]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """All requests for one meter model. ``confirm[i]`` is the second reading of ``billing[i]``."""

    billing: tuple[Block, ...]
    confirm: tuple[Block, ...]
    telemetry: tuple[Block, ...]


def plan_reads(profile: ModbusProfile) -> ReadPlan:
    """Return the requests for ``profile``: billing registers apart from all others."""
    billing = plan_blocks(profile.billing_points, profile)
    confirm = tuple(_lengthened(block, profile) for block in billing)
    plan = ReadPlan(billing, confirm, ())
    others = [point for point in profile.points if point.obis not in profile.billing]
    return ReadPlan(billing, confirm, plan_telemetry(others, profile, plan))


def plan_telemetry(points: Iterable[ModbusPoint], profile: ModbusProfile, plan: ReadPlan) -> tuple[Block, ...]:
    """Return the requests that read ``points``, none of them as long as a billing request of ``plan``."""
    lengths = {(block.function_code, block.count) for block in (*plan.billing, *plan.confirm)}
    return tuple(piece for block in plan_blocks(points, profile) for piece in _split_while(block, lengths))


def plan_blocks(points: Iterable[ModbusPoint], profile: ModbusProfile) -> tuple[Block, ...]:
    """Merge ``points`` into blocks of at most ``max_words`` registers.

    A hole between two points is bridged only where the profile knows every register in it (other points, or a block that
    the vendor lets one request read): a meter may answer a request that touches an unknown register with an exception.
    """
    known, max_words = known_registers(profile), profile.modbus.max_words
    blocks: list[Block] = []
    for point in sorted(points, key=lambda item: (item.function_code, item.first)):
        last = blocks[-1] if blocks else None
        if last is not None and last.function_code == point.function_code:
            end = last.address + last.count
            hole = range(end, point.first)
            count = max(end, point.end) - last.address
            if count <= max_words and all((point.function_code, register) in known for register in hole):
                blocks[-1] = Block(last.function_code, last.address, count, (*last.points, point))
                continue
        blocks.append(_block_of((point,)))
    return tuple(blocks)


def _lengthened(block: Block, profile: ModbusProfile) -> Block:
    """Return ``block`` with the known point after or before it, or ``block`` itself when it has no neighbour."""
    end = block.address + block.count
    for point in profile.points:
        if (
            point.function_code == block.function_code
            and block.count + point.end - point.first <= profile.modbus.max_words
        ):
            if point.first == end:
                return Block(block.function_code, block.address, point.end - block.address, (*block.points, point))
            if point.end == block.address:
                return Block(block.function_code, point.first, end - point.first, (point, *block.points))
    return block


def _split_while(block: Block, lengths: set[tuple[int, int]]) -> tuple[Block, ...]:
    """Return ``block`` in pieces none of which has one of ``lengths`` (a single point is never split)."""
    if (block.function_code, block.count) not in lengths:
        return (block,)
    for cut in range(len(block.points) - 1, 0, -1):
        left, right = block.points[:cut], block.points[cut:]
        if max(point.end for point in left) <= min(point.first for point in right):
            pieces = (_block_of(left), _block_of(right))
            return tuple(piece for half in pieces for piece in _split_while(half, lengths))
    return (block,)


def _block_of(points: tuple[ModbusPoint, ...]) -> Block:
    start, end = points[0].first, max(point.end for point in points)
    return Block(points[0].function_code, start, end - start, points)
