"""The Amazon Web Services side of a Braket device: sessions, endpoints, and errors in one line.

Credentials are boto3's own (environment, profile, single sign-on) and are handled by it alone;
nothing here stores or shows one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from backends.queued import BusyError, RefusedError
from backends.registry import require
from backends.remote import within
from qmoe.errors import CredentialsError, InputError, QmoeError, UnreachableError
from qmoe.record import Source

OWN_HOSTS = re.compile(r"(braket|s3)(-fips)?(\.dualstack)?(\.[a-z0-9-]+)?\.amazonaws\.com")
REFUSED = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "AuthFailure", "ExpiredToken"),
        *("ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId"),
        *("InvalidClientTokenId", "InvalidSignatureException", "InvalidToken"),
        *("MissingAuthenticationTokenException", "SignatureDoesNotMatch"),
        *("UnrecognizedClientException",),
    }
)
BUSY = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"})
SECONDS = 180.0  # what one call may take, the client's own further attempts included
KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


def missing(environment: Mapping[str, str] | None = None, home: Path | None = None) -> str | None:
    """What to set before a device can be asked, by name; None where credentials may be there.

    It looks at names and files only, reads no value and asks no service, so it does not see
    what a machine in the cloud gets from its own metadata.
    """
    named = os.environ if environment is None else environment
    folder = (Path.home() if home is None else home) / ".aws"
    files = (
        Path(named.get("AWS_SHARED_CREDENTIALS_FILE") or folder / "credentials"),
        Path(named.get("AWS_CONFIG_FILE") or folder / "config"),
    )
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    others = (
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )
    if all(named.get(key) for key in keys) or any(named.get(key) for key in others):
        return None
    return None if any(path.is_file() for path in files) else KEYS


def session(region: str | None, seconds: float | None = None) -> Any:
    """The SDK's session in a region, or in the user's own where that is None.

    seconds: How long one attempt of a request may take; None: a minute.

    Every request for a task carries a client token made from its content, so that sending it
    again, from this process or another, gives the task that it gave before. The client itself
    sends it once: a refusal of the second request would say nothing of the first.
    """
    aws = require("braket", "braket.aws")
    boto3 = require("braket", "boto3")
    limited = require("braket", "botocore.config").Config
    config = limited(
        connect_timeout=min(10.0, seconds or 10.0),
        read_timeout=seconds or 60.0,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    # the SDK itself reads AWS_REGION, which boto3 does not
    boto = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
    made = aws.AwsSession(boto_session=boto, config=config)
    once = boto.client(
        "braket",
        config=config.merge(limited(retries={"mode": "standard", "total_max_attempts": 1})),
        endpoint_url=os.environ.get("BRAKET_ENDPOINT"),
    )
    once.meta.events.register(
        "provide-client-params.braket.CreateQuantumTask",
        lambda params, **_: {**params, "clientToken": token(params)},
    )
    made.braket_client.create_quantum_task = once.create_quantum_task
    return made


def connect(arn: str, region: str | None, seconds: float | None = None) -> Any:
    """The SDK's device, in a session in its region, or in the user's own where that is None."""
    sdk = require("braket", "braket.aws")
    with explained(f"device {arn}"):
        made = session(region, seconds)
    with explained(f"device {arn}", made), warnings.catch_warnings():
        # a device whose properties the SDK cannot read is of no use
        warnings.filterwarnings("error", message="Unable to determine device capabilities")
        try:
            device = within(seconds or SECONDS, lambda: sdk.AwsDevice(arn, made))
            if device.aws_session is made:
                return device
            # found in another region, with a session of the SDK's own that lacks our token
            found = session(device.aws_session.region, seconds)
            return within(seconds or SECONDS, lambda: sdk.AwsDevice(arn, found))
        except UserWarning as error:
            raise QmoeError(f"{arn}: the installed amazon-braket-sdk is too old for it") from error
        except ValueError as error:
            raise error.__cause__ or error from error  # "not found", of the service's refusal


def default_bucket(session: Any) -> str:
    """The S3 bucket for results that Braket takes where none is named; made if it is not there.

    Raises:
        InputError: It belongs to somebody else.
    """
    with explained("the S3 bucket for results", session):
        try:
            return str(session.default_bucket())
        except ValueError as error:
            raise InputError(
                got=f"the S3 bucket for results ({words(str(error), session)})",
                expected="a bucket of your own",
                do="name one with bucket=NAME in the spec",
            ) from error


def token(request: Mapping[str, Any]) -> str:
    """The client token of a request: the first 64 characters that the service allows of a digest.

    >>> token({"shots": 10, "tags": {}}) == token({"tags": {}, "shots": 10})
    True
    """
    text = json.dumps({**request, "clientToken": None}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:64]


def source(kind: str, endpoints: Iterable[str], environment: Mapping[str, str]) -> Source:
    """Where results of a device come from: its kind counts only at Amazon's own addresses.

    >>> source("QPU", ["https://braket.us-east-1.amazonaws.com"], {})
    'device'
    >>> source("QPU", ["http://127.0.0.1:8000"], {})
    'loopback'
    """
    overridden = any(
        value and (name == "BRAKET_ENDPOINT" or name.startswith("AWS_ENDPOINT_URL"))
        for name, value in environment.items()
    )
    if overridden or not all(map(_is_own, endpoints)):
        return "loopback"
    return "device" if kind == "QPU" else "hosted-simulator"


def _is_own(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and OWN_HOSTS.fullmatch(parts.hostname or "") is not None


@contextmanager
def explained(what: str, session: Any = None) -> Iterator[None]:
    """Errors of boto3 and of the service as errors of one line with the right exit code.

    what: What was asked, "device ...".
    session: Whose credentials are taken out of the vendor's words. What the client said is not
        kept as the cause: it may quote the request, credentials and all.
    """
    errors = require("braket", "botocore.exceptions")
    try:
        yield
    except QmoeError:
        raise
    except errors.NoRegionError as error:
        raise InputError(
            got=f"{what} without an AWS region",
            expected="a region with Amazon Braket",
            do="set AWS_DEFAULT_REGION, for example to us-east-1",
        ) from error
    except (
        errors.NoCredentialsError,
        errors.PartialCredentialsError,
        errors.ProfileNotFound,
        errors.CredentialRetrievalError,
        errors.TokenRetrievalError,
        errors.SSOError,
    ) as error:
        raise CredentialsError(
            got=f"{what} without AWS credentials ({type(error).__name__})",
            expected="an account that may use Amazon Braket",
            do=f"set {KEYS}",
        ) from error
    except errors.ClientError as error:
        raise _refusal(what, error, session) from None
    except (errors.HTTPClientError, errors.ConnectionError, TimeoutError) as error:
        raise UnreachableError(
            got=f"no answer for {what} ({words(str(error), session)})",
            expected="Amazon Braket within reach",
            do="check the network, the region and BRAKET_ENDPOINT",
        ) from None
    except (errors.BotoCoreError, LookupError, TypeError, ValueError, AttributeError) as error:
        said = words(f"{type(error).__name__}: {error}", session)
        raise QmoeError(f"Amazon Braket's answer for {what} cannot be used: {said}") from None


def words(text: str, session: Any) -> str:
    """A vendor's words on one line without the credentials: refusals may quote the request."""
    found = None if session is None else session.boto_session.get_credentials()
    for secret in () if found is None else (found.access_key, found.secret_key, found.token):
        if secret:
            text = text.replace(secret, "***")
    return " ".join(text.split())[:500]


def _refusal(what: str, error: Any, session: Any) -> QmoeError:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = words(str(error.response.get("Error", {}).get("Message", "")), session)
    if code in REFUSED:
        return CredentialsError(
            got=f"{what} refused by AWS ({code}: {said})",
            expected="credentials that may use Amazon Braket and Amazon S3",
            do=f"check {KEYS}, and what they permit",
        )
    if code == "ResourceNotFoundException":
        return InputError(
            got=f"{what}, which Amazon Braket does not know",
            expected="an ARN of this account and region",
            do="copy it from the Braket console",
        )
    if code in BUSY or status == 429:
        return BusyError(
            got=f"{what} put off ({code}: {said})", expected="a reply", do="try again later"
        )
    if status >= 500:
        return UnreachableError(
            got=f"no result for {what} ({code}: {said})",
            expected="an answer of the service",
            do="try again later",
        )
    if 400 <= status < 500:
        return RefusedError(f"Amazon Braket refused {what}: {code}: {said}")
    return QmoeError(f"Amazon Braket refused {what}: {code}: {said}")
