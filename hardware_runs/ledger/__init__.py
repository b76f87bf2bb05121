"""The ledger of hardware experiments: nothing that was paid for is lost, nothing is paid twice."""

from hardware_runs.ledger.budget import BudgetError
from hardware_runs.ledger.place import sender
from hardware_runs.ledger.rows import BudgetRow, Caps, Event, JobDraft, JobRow, PlanRow
from hardware_runs.ledger.store import Ledger

__all__ = [
    "BudgetError",
    "BudgetRow",
    "Caps",
    "Event",
    "JobDraft",
    "JobRow",
    "Ledger",
    "PlanRow",
    "sender",
]
