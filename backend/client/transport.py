"""HTTP for the client: authorisation, retries that cannot do anything twice, pages."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from backend.client.errors import ApiError, ServerAway
from backend.schemas.base import Body, Page, Problem

V = TypeVar("V", bound=BaseModel)
Params = Mapping[str, Any]
Content = bytes | Callable[[], Iterable[bytes]]
"""A body; a stream is given as a function, so that a retry can start it afresh."""

ATTEMPTS = 5
FIRST_PAUSE = 0.25
REPEATABLE = frozenset({"GET", "POST"})
"""Repeating others after a lost answer could meet their own first effect as Stale."""


class Transport:
    """One connection pool to one service, as one person."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1/",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(120, connect=5),
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Body | None = None,
        content: Content | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Return the answer of the service; raises ApiError if it refuses.

        Lost connections and 503 are tried again for some seconds; a POST carries an
        Idempotency-Key, so its work is done once however often it is sent.
        """
        sent = dict(headers or {})
        if method == "POST":
            sent.setdefault("Idempotency-Key", uuid.uuid4().hex)
        for attempt in range(ATTEMPTS):
            is_last = attempt == ATTEMPTS - 1
            try:
                answer = self._http.request(
                    method,
                    path,
                    params=_given(params),
                    json=body and body.model_dump(mode="json", exclude_unset=True),
                    content=content() if callable(content) else content,
                    headers=sent,
                )
            except httpx.TransportError as error:
                repeatable = method in REPEATABLE or isinstance(
                    error, httpx.ConnectError
                )
                if is_last or not repeatable:
                    raise ServerAway(
                        f"{self.url} does not answer ({error or type(error).__name__});"
                        " is the service running, and is --server right?"
                    ) from error
            except httpx.InvalidURL as error:
                raise ServerAway(f"{self.url} is no address: {error}.") from error
            else:
                if is_last or not _worth_another(answer, attempt):
                    return _checked(answer, self.url)
            time.sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def get(self, path: str, view: type[V], params: Params | None = None) -> V:
        """GET one object."""
        return self.parsed(self.request("GET", path, params=params), view)

    def post(
        self,
        path: str,
        view: type[V],
        body: Body | None = None,
        params: Params | None = None,
    ) -> V:
        """POST a JSON body and return what was made."""
        return self.parsed(self.request("POST", path, params=params, body=body), view)

    def edit(self, path: str, view: type[V], body: Body, version: int) -> V:
        """PATCH the revision `version`; only fields set on `body` change."""
        headers = {"If-Match": f'"{version}"'}
        return self.parsed(
            self.request("PATCH", path, body=body, headers=headers), view
        )

    def pages(
        self, path: str, view: type[V], params: Params | None = None
    ) -> Iterator[V]:
        """Yield every object of a list, page after page."""
        cursor: str | None = None
        while True:
            asked = {"limit": 200, **(params or {}), "cursor": cursor}
            page = self.get(path, Page[view], asked)  # type: ignore[valid-type]
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def download(self, path: str, params: Params | None = None) -> Iterator[bytes]:
        """Yield the bytes of an answer as they come; raises ApiError first."""
        request = self._http.build_request("GET", path, params=_given(params))
        try:
            answer = self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise ServerAway(f"{self.url} does not answer ({error}).") from error
        try:
            if answer.is_error:
                answer.read()
            _checked(answer, self.url)
            yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise ServerAway(f"The download broke off ({error}); ask again.") from error
        finally:
            answer.close()

    def parsed(self, answer: httpx.Response, view: type[V]) -> V:
        """Return the body of an answer as `view`."""
        try:
            return view.model_validate_json(answer.content)
        except ValidationError as error:
            raise ServerAway(
                f"The answer of {self.url} is not understood; are client and service "
                f"of the same version? ({error.error_count()} fields differ)"
            ) from error


def _given(params: Params | None) -> dict[str, Any]:
    return {key: value for key, value in (params or {}).items() if value is not None}


def _worth_another(answer: httpx.Response, attempt: int) -> bool:
    if answer.status_code == 503:
        return True
    # our own first try is still at work: its answer will be stored under the key
    return (
        attempt > 0
        and answer.status_code == 409
        and b"still running" in (answer.content)
    )


def _checked(answer: httpx.Response, url: str) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        raise ServerAway(
            f"{url} answered {answer.status_code} {answer.reason_phrase}, which is not "
            "Cisterna's way of saying no; is --server right?"
        ) from None
    raise ApiError(problem)
