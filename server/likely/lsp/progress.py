"""A progress bar in the client, where it can show one."""

import uuid
from concurrent.futures import Future
from typing import Any

from lsprotocol import types
from pygls.protocol import LanguageServerProtocol

from likely.text import escaping


class WorkDone:
    """One server-initiated work-done progress; used in the event loop only.

    Shown once the client has agreed to it; one that never answers is never waited for.
    """

    def __init__(self, protocol: LanguageServerProtocol, title: str) -> None:
        self._protocol = protocol
        self._title = escaping.message(title)
        self._token = str(uuid.uuid4())
        self._agreed = False
        self._ended = False
        self._message: str | None = None
        self._percentage: int | None = None
        created = protocol.send_request(
            types.WINDOW_WORK_DONE_PROGRESS_CREATE,
            types.WorkDoneProgressCreateParams(token=self._token),
        )
        created.add_done_callback(self._created)

    def report(self, message: str, percentage: int | None) -> None:
        """Show a step."""
        message = escaping.message(message)
        # A client shows the title before it.
        self._message = None if message == self._title else message
        self._percentage = percentage
        if self._agreed and not self._ended:
            self._notify(types.WorkDoneProgressReport(message=self._message, percentage=percentage))

    def end(self, message: str) -> None:
        """Take the bar away."""
        if self._agreed and not self._ended:
            self._notify(types.WorkDoneProgressEnd(message=message))
        self._ended = True

    def _created(self, created: "Future[Any]") -> None:
        if self._ended or created.cancelled() or created.exception() is not None:
            return
        self._agreed = True
        self._notify(
            types.WorkDoneProgressBegin(
                title=self._title,
                cancellable=False,
                message=self._message,
                # A bar that starts without a figure may never show one later.
                percentage=self._percentage or 0,
            )
        )

    def _notify(
        self,
        value: types.WorkDoneProgressBegin
        | types.WorkDoneProgressReport
        | types.WorkDoneProgressEnd,
    ) -> None:
        self._protocol.notify(types.PROGRESS, types.ProgressParams(token=self._token, value=value))
