"""Calls of Quantum Engine's client: each with a time limit, its errors as those of this project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backends.queued import BusyError, RefusedError
from backends.remote import within, words
from qmoe.errors import CredentialsError, InputError, QmoeError, UnreachableError

HOST = "quantum.googleapis.com"
GIVEN_UP = (408, 499)  # what came too late may have been carried out; 499 is CANCELLED to gRPC


@dataclass(frozen=True)
class Calls:
    """What is asked of an engine.

    where: host:port or host of the engine. project: the project whose jobs are asked for.
    seconds: how long a call may take, the client's own retries included.
    """

    where: str
    project: str
    seconds: float

    def ask(
        self,
        call: Callable[[], Any],
        *,
        job: str | None = None,
        do: str = "check the network, or try again later",
    ) -> Any:
        """What a call of the client returns; job: the one that it is about.

        Raises:
            RefusedError, CredentialsError, BusyError: The engine says no.
            InputError: It knows no such job.
            UnreachableError: No answer in time, or that of an engine in trouble.
            QmoeError: An answer that cannot be read.
        """
        from cirq_google.engine.engine_client import EngineException
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError
        from google.protobuf.message import DecodeError

        try:
            return within(self.seconds, call)
        except QmoeError:
            raise
        except TimeoutError as error:
            raise self._unreachable(error, do) from error
        except GoogleAuthError as error:
            raise credentials_error(f"refused: {words(error)}") from error
        except (EngineException, GoogleAPICallError) as error:
            cause = error.__cause__ if isinstance(error, EngineException) else error
            raise self._explained(error, getattr(cause, "code", None) or 0, job, do) from error
        except (
            *(ValueError, TypeError, AttributeError, LookupError, RuntimeError),
            *(MemoryError, DecodeError),
        ) as error:  # the client returns None for a message that is none, and trips over it
            said = words(f"{type(error).__name__}: {error}")
            raise QmoeError(f"Quantum Engine's answer cannot be read ({said})") from error

    def _explained(self, error: Exception, code: int, job: str | None, do: str) -> QmoeError:
        """The error of a reply by the code that HTTP would have; 0 is none."""
        if code in (401, 403):
            return credentials_error(f"refused: {words(error)}")
        if code == 404 and job is not None:
            return InputError(
                got=f"job {job}",
                expected=f"a job of project {self.project}",
                do="check the id and the project",
            )
        if code == 429:
            return BusyError(
                got=f"Quantum Engine, which is busy ({words(error)})",
                expected="a reply",
                do="try again later",
            )
        if 400 <= code < 500 and code not in GIVEN_UP:
            return RefusedError(f"Quantum Engine refused: {words(error)}")
        return self._unreachable(error, do)

    def _unreachable(self, error: Exception, do: str) -> UnreachableError:
        return UnreachableError(
            got=f"no answer of {self.where} ({words(error)})", expected="a reply", do=do
        )


def credentials_error(reason: str) -> CredentialsError:
    """Application Default Credentials that are not found or refused."""
    return CredentialsError(
        got=f"Application Default Credentials {reason}",
        expected="credentials of an account with access to Quantum Engine",
        do="run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS",
    )
