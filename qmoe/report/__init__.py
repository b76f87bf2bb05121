"""The report of a run: one page that needs nothing else, and the tables behind it as CSV."""

from qmoe.report.files import write_report

__all__ = ["write_report"]
