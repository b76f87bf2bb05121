"""The published claims as data, and what the stored results say about each of them."""

from qmoe.claims.claim import Claim, Pair
from qmoe.claims.judging import Judged, disagreements, judged, with_verdicts
from qmoe.claims.table import CLAIMS

__all__ = ["CLAIMS", "Claim", "Judged", "Pair", "disagreements", "judged", "with_verdicts"]
