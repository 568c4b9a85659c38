"""When points have rules of their own, as registrations change it: counted, as a block may ask for each of its thousands of rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ledger.registry.histories import OwnRules, RulesSpan

_NONE: Counter[RulesSpan] = Counter()


class SpanChanges:
    """How many more or fewer entries of points have a span than the columns tell; and of each point that was changed what it has now."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[RulesSpan]] = defaultdict(Counter)
        self._of_point: dict[str, Sequence[OwnRules]] = {}

    def of_point(self, name: str) -> Sequence[OwnRules] | None:
        """What a point has of its own; None where nothing here has changed it."""
        return self._of_point.get(name)

    def counts(self, rules: str) -> Mapping[RulesSpan, int]:
        """Of some rules: by span the entries that came, less those that went."""
        return self._counts.get(rules, _NONE)

    def change(self, name: str, before: Sequence[OwnRules], now: Sequence[OwnRules]) -> None:
        """Take up that a point has other rules of its own."""
        for own in before:
            self._counts[own.rules][own.span] -= 1
        for own in now:
            self._counts[own.rules][own.span] += 1
        self._of_point[name] = now

    def update(self, later: SpanChanges) -> None:
        """Take up what came behind it."""
        for rules, counts in later._counts.items():
            self._counts[rules].update(counts)
        self._of_point.update(later._of_point)
