"""Asking for what AWS has no idempotency token for.

Between one try and the next somebody else may have deployed: the SDK would ask again without looking.
"""

from collections.abc import Callable
from time import sleep
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from autorollback.aws.clients import backoff
from autorollback.aws.refusals import may_pass_at_once, was_not_done

Answer = TypeVar("Answer")

ATTEMPTS = 20
"""How often one thing is asked for at most, as often as the SDK asks for all else."""

UNHEARD = (NoConnection, HTTPClientError)
"""What the SDK raises where no answer came (botocore.retries.standard, TransientRetryableChecker)."""


def ask_once(
    ask: Callable[[], Answer],
    look: Callable[[bool], Answer | None],
) -> Answer:
    """Ask, and look what became of it before asking again.

    `ask` uses a client that does not retry. `look` is told whether an earlier try may have been
    carried out unheard; it answers what was made, None where nothing was, and raises where it may
    not be asked for any more. Refusals are raised as they are, and so is what the last try came to.
    """
    may_be_done = False
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except (ClientError, *UNHEARD) as error:
            if attempt == ATTEMPTS or not _may_be_tried_again(error):
                raise
            may_be_done |= _may_be_done(error)
        sleep(backoff(attempt))
        made = look(may_be_done)
        if made is not None:
            return made
    raise AssertionError("the last attempt answers or raises")


def _may_be_tried_again(error: ClientError | BotoCoreError) -> bool:
    return not isinstance(error, ClientError) or may_pass_at_once(error)


def _may_be_done(error: ClientError | BotoCoreError) -> bool:
    return not isinstance(error, ClientError) or not was_not_done(error)
