"""What goes wrong in IBM's client, as errors in one line with the right exit code.

The client wraps, swallows and logs the errors of its requests; here they are dug out again.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from backends.queued import BusyError, RefusedError
from qmoe.errors import CredentialsError, InputError, QmoeError, UnreachableError

LOGGERS = ("qiskit_ibm_runtime.qiskit_runtime_service", "urllib3.connectionpool")
# What the client only warns of, before anything is sent: a job would wait for ever, or the API
# key itself would go to the service in place of an access token.
REFUSED = (
    "The backend .* currently has a status of",
    "This instance has met its usage limit",
    "There is currently no more time available",
    "Unable to retrieve IBM Cloud access token",
)

UNDECIDED = (408, 499)  # given up on the way: the request may have been carried out


def explained(what: str, error: BaseException, said: str, do: str) -> QmoeError:
    """A failure of the client as an error of ours.

    what: What was asked for.
    said: The service's words, without credentials.
    do: What to do when there was no answer.
    """
    chain = list(_chain(error))
    status = next((found for each in chain if (found := _status(each))), 0)
    kinds = {kind.__name__ for each in chain for kind in type(each).__mro__}
    why = " ".join(filter(None, [str(status or ""), said])) or type(error).__name__
    # The token service answers 400 to a wrong API key.
    if status in (401, 403) or (status == 400 and "ApiException" in kinds):
        return CredentialsError(
            got=f"{what} refused by IBM ({why})",
            expected="a valid API key that may use the instance",
            do="check QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE, or the saved account",
        )
    if status == 404:
        return InputError(
            got=f"{what}, which IBM does not know ({why})",
            expected="one of this account",
            do="check the name and QISKIT_IBM_INSTANCE",
        )
    if status == 429:
        return BusyError(got=f"{what} put off ({why})", expected="a reply", do="try again later")
    if not status and "UserWarning" in kinds:  # one of REFUSED
        return BusyError(got=f"{what} not sent ({why})", expected="no warning", do="try later")
    silent = not status and kinds & {"RequestException", "TimeoutError"}
    if silent or status in UNDECIDED or status >= 500:
        return UnreachableError(got=f"no answer for {what} ({why})", expected="a reply", do=do)
    if kinds & {"AccountNotFoundError", "InvalidAccountError"}:
        return CredentialsError(
            got=f"{what} without a usable account ({why})",
            expected="an API key and an instance",
            do="set QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE, or save the account again",
        )
    if "IBMInputValueError" in kinds:
        return InputError(
            got=f"{what}, refused by IBM's client ({why})",
            expected="an instance of this account",
            do="check QISKIT_IBM_INSTANCE",
        )
    if 400 <= status < 500:
        return RefusedError(f"IBM refused {what}: {why}")
    return QmoeError(f"IBM's answer for {what} cannot be used: {why}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    """The HTTP status that an error of the client carries, or 0."""
    reply = getattr(error, "response", None)
    found = (getattr(error, "status_code", None), getattr(reply, "status_code", None))
    return next((each for each in found if isinstance(each, int) and each > 0), 0)


@contextmanager
def quiet() -> Iterator[list[BaseException]]:
    """Errors that the client only logs, collected; and its warnings of REFUSED raised."""
    swallowed: list[BaseException] = []

    def collect(record: logging.LogRecord) -> bool:
        if (error := sys.exc_info()[1]) is not None:
            swallowed.append(error)
        return record.levelno >= logging.ERROR

    loggers = [logging.getLogger(each) for each in LOGGERS]
    for logger in loggers:
        logger.addFilter(collect)
    try:
        with warnings.catch_warnings():
            for message in REFUSED:
                warnings.filterwarnings("error", message=message)
            yield swallowed
    finally:
        for logger in loggers:
            logger.removeFilter(collect)
