"""Any server that speaks OpenAI's protocol: vLLM's own, SGLang, llama.cpp, hosted ones.

One request a sample, each with a seed of its own, so that a run can be continued sample by sample. Many are under way
at once; a failed one is tried again until its attempts are used up, and then its sample is left open for the next run.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import queue
import random
import re
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from ..errors import InfrastructureError, UsageError
from ..types import Chat, Choice, Completion, Infill, Needle, Prompt, versions
from .base import Answer, Request
from .engine import chosen, finished
from .profiles import Kind, ModelProfile
from .rendering import ASKED, Renderer, check_formats, continued_text, infill_text, kind_for

TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum.{0,20}(length|tokens)|too (long|many tokens)|exceed|cannot be greater", re.I
)
NUMBERS = re.compile(r"\d+")
LOST_IN_A_ROW = 8  # samples; then the server is held for gone
LONGEST_WAIT_S = 120.0  # what a Retry-After is followed for
FIRST_WAIT_S = 0.5
MAX_ANSWER = 1 << 28  # bytes of one response


@dataclass(frozen=True)
class ServerOptions:
    """``price``: dollars for a million tokens of prompt and of completion. ``timeout_s``: for one whole answer."""

    base_url: str
    api_key: str = ""
    concurrency: int = 64
    timeout_s: float = 600.0
    attempts: int = 6
    price: tuple[float, float] = (0.0, 0.0)


class GaveUpError(Exception):
    """A request that no attempt got through."""


class OpenAIModel:
    """With a ``renderer`` prompts are sent as tokens, and the server's template has no part in them."""

    instant = False

    def __init__(
        self,
        name: str,
        options: ServerOptions,
        profile: ModelProfile,
        because: str,
        kind: Kind | None = None,
        renderer: Renderer | None = None,
        force: bool = False,
    ) -> None:
        self.name, self.options, self.renderer = name, options, renderer
        self.profile, self.because, self.kind, self.force = profile, because, kind, force
        self.prompt_tokens = self.tokens = self.retries = 0  # as the server counts them
        self.max_stops = 10_000
        url = urlsplit(options.base_url)
        if url.scheme not in ("http", "https") or not url.netloc:
            raise UsageError(
                f"--base-url {options.base_url}: not an address; give one such as http://127.0.0.1:8000/v1"
            )

    def key(self) -> dict[str, Any]:
        profile = {name: value for name, value in asdict(self.profile).items() if name != "match"}
        rendering = self.renderer.key() if self.renderer else {"model_profile": profile}
        url = urlsplit(self.options.base_url)
        address = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path.rstrip('/')}"  # no user, no password
        return {"model": self.name, "server": address, **rendering}

    def provenance(self) -> dict[str, Any]:
        found = {"model_profile": self.profile.name, "because": self.because, "kind": self.kind or "unknown"}
        return {**found, "usage": self.usage()} if self.tokens else found

    def usage(self) -> dict[str, float]:
        """Tokens and dollars of this session so far, failed attempts not counted."""
        dollars = (self.prompt_tokens * self.options.price[0] + self.tokens * self.options.price[1]) / 1e6
        found: dict[str, float] = {
            "prompt_tokens": self.prompt_tokens, "tokens": self.tokens, "retries": self.retries,
        }  # fmt: skip
        return {**found, "dollars": dollars} if any(self.options.price) else found

    def rendered(self, prompt: Prompt) -> Any:
        if self.renderer:
            self.renderer.check(prompt)
        else:
            check_formats(self.profile, prompt)
        wanted = kind_for(prompt)
        if not self.renderer and not self.force and self.kind and wanted and wanted != self.kind:
            raise UsageError(
                f"the benchmark asks for {ASKED[wanted]}, and {self.name} is named like a {self.kind} model; "
                f"choose another --profile, say --kind {wanted} where that is wrong, or --force it"
            )
        return {name: value for _, body in self.bodies(prompt) for name, value in body.items()}

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        answers: queue.Queue[Answer | BaseException | None] = queue.Queue(maxsize=4 * self.options.concurrency)
        stopped = threading.Event()
        asking = _Asking(self, iter(requests), answers, stopped)
        thread = threading.Thread(target=asking.run, name="asking a server", daemon=True)
        thread.start()
        in_a_row = 0
        try:
            while (found := answers.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                in_a_row = 0 if found.completion else in_a_row + 1
                if in_a_row >= LOST_IN_A_ROW:
                    raise InfrastructureError(f"{self.options.base_url}: {found.reason}; start the same command again")
                yield found
        finally:
            stopped.set()
            while thread.is_alive():  # it may wait for room
                with contextlib.suppress(queue.Empty):
                    answers.get_nowait()
                thread.join(0.01)

    def bodies(self, prompt: Prompt) -> list[tuple[str, dict[str, Any]]]:
        """What is sent, without the sampling: an endpoint and a body; one each for the continuations of a Choice."""
        if isinstance(prompt, Choice):
            texts = [prompt.context + continuation for continuation in prompt.continuations]
            asked: dict[str, Any] = {"echo": True, "logprobs": 1}
            if self.renderer:
                rendered = self.renderer.render(prompt)
                given = [[*rendered.tokens, *continuation] for continuation in rendered.continuations]
                return [("completions", {"prompt": tokens, **asked}) for tokens in given]
            return [("completions", {"prompt": text, **asked}) for text in texts]
        if self.renderer:
            rendered = self.renderer.render(prompt)
            return [("completions", {"prompt": list(rendered.tokens), "stop_token_ids": list(rendered.stop_tokens)})]
        if isinstance(prompt, Chat):
            body: dict[str, Any] = {"messages": [asdict(message) for message in prompt.messages]}
            if prompt.messages[-1].role == "assistant":  # an extension of vLLM, SGLang and others
                body |= {"add_generation_prompt": False, "continue_final_message": True}
            return [("chat/completions", body)]
        if isinstance(prompt, Infill):
            text = infill_text(self.profile, prompt, lambda text, tokens, keep_end: _cut(text, tokens, keep_end))
            return [("completions", {"prompt": text})]
        if isinstance(prompt, Needle):
            raise UsageError("this benchmark's prompts are as many tokens as it says; name the model's --tokenizer")
        return [("completions", {"prompt": continued_text(prompt, _cut)})]


def _cut(text: str, tokens: int | None, keep_end: bool) -> str:
    if tokens is not None and len(text.encode()) > tokens:
        raise UsageError("this benchmark's prompts are cut to a number of tokens; name the model's --tokenizer")
    return text


class _Asking:
    """The thread with the event loop: at most ``concurrency`` requests at a time."""

    def __init__(
        self, model: OpenAIModel, requests: Iterator[Request], answers: queue.Queue[Any], stopped: threading.Event
    ) -> None:
        self.model, self.requests, self.answers, self.stopped = model, requests, answers, stopped

    def run(self) -> None:
        try:
            asyncio.run(self.ask_all())
            self.answers.put(None)
        except BaseException as error:
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            self.answers.put(error)

    async def ask_all(self) -> None:
        import httpx

        options = self.model.options
        headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        limits = httpx.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency)
        timeout = httpx.Timeout(options.timeout_s, connect=min(options.timeout_s, 30.0))
        samples = ((request, number) for request in self.requests for number in request.numbers)
        async with (
            httpx.AsyncClient(headers=headers, limits=limits, timeout=timeout) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(options.concurrency):
                group.create_task(self.ask_each(client, samples))

    async def ask_each(self, client: Any, samples: Iterator[tuple[Request, int]]) -> None:
        for request, number in samples:
            if self.stopped.is_set():
                return
            try:
                answer = await self.ask(client, request, number)
            except GaveUpError as error:
                answer = Answer(request, number, None, str(error))
            while True:  # wait for room without holding up the others
                try:
                    self.answers.put_nowait(answer)
                    break
                except queue.Full:
                    if self.stopped.is_set():
                        return
                    await asyncio.sleep(0.02)

    async def ask(self, client: Any, request: Request, number: int) -> Answer:
        """Raises GaveUpError, and InfrastructureError for what no other request could get around."""
        sampling = request.sampling
        if isinstance(request.prompt, Choice):
            logprobs = {}
            for at, (endpoint, body) in enumerate(self.model.bodies(request.prompt)):
                plain = {"model": self.model.name, "max_tokens": 1, "temperature": 0, **body}
                document = await self.post(client, endpoint, plain)
                if document is None:
                    return Answer(request, number, Completion("", finish_reason="prompt_too_long"))
                logprobs[at] = self.echoed(document, request.prompt, at)
            return chosen(request, logprobs, None)
        plain = {
            "model": self.model.name, "max_tokens": sampling.max_tokens, "temperature": sampling.temperature,
            "top_p": sampling.top_p, "seed": request.seed(number), "stop": list(sampling.stop),
        }  # fmt: skip
        asked = versions(request.prompt)
        for shortened, prompt in enumerate(asked):
            ((endpoint, body),) = self.model.bodies(prompt)
            document = await self.post(client, endpoint, {**plain, **body}, last=shortened == len(asked) - 1)
            if document is not None:
                break
        else:
            return Answer(request, number, Completion("", finish_reason="prompt_too_long", shortened=shortened))
        text, reason = content(document)
        usage = document.get("usage") or {}
        opened = self.model.renderer.render(prompt).thinking if self.model.renderer else False
        completion = finished(request, text, reason, self.model.profile, opened)
        completion = replace(
            completion,
            thoughts=completion.thoughts or reasoning(document),
            prompt_tokens=usage.get("prompt_tokens"),
            tokens=usage.get("completion_tokens"),
            shortened=shortened,
        )
        return Answer(request, number, completion)

    async def post(self, client: Any, endpoint: str, body: dict[str, Any], last: bool = True) -> dict[str, Any] | None:
        """The server's answer; None where the prompt does not fit its context.

        Where it only leaves less room than was asked for, it is asked for less; but of a prompt that can be shortened,
        which is not the ``last`` of its versions, for no less than half of the context.
        """
        options, said = self.model.options, ""
        url = f"{options.base_url.rstrip('/')}/{endpoint}"
        attempt = 0
        while attempt < options.attempts:
            if self.stopped.is_set():
                raise GaveUpError("stopped")
            body = {**body, "stop": body["stop"][: self.model.max_stops]} if "stop" in body else body
            wait = FIRST_WAIT_S * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311
            attempt += 1
            try:
                status, headers, text = await fetch(client, url, body, options.timeout_s)
            except Exception as error:  # httpx's, and those of a broken connection below it
                said = f"{type(error).__name__}: {error}".rstrip(": ")
            else:
                if status == 200:
                    try:
                        document = json.loads(text)
                        content(document)
                    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
                        said = f"an answer that is no completion ({text[:80]!r})"
                    else:
                        self.count(document)
                        return dict(document)
                elif status in (408, 409, 425, 429) or status >= 500:
                    said = f"status {status} ({message(text)})"
                    wait = max(wait, retry_after(headers)) if retry_after(headers) is not None else wait
                elif status in (401, 403, 404):
                    raise InfrastructureError(
                        f"{url}: status {status} ({message(text)}); correct the address, model or key"
                    )
                elif "stop" in message(text).lower() and len(body.get("stop", ())) > 4:
                    self.model.max_stops = 4  # hosted services take no more; the rest is cut here
                    continue
                elif too_long(text):
                    room, context = fitting(text, int(body["max_tokens"]))
                    if not room or (not last and room < context // 2):
                        return None
                    body = {**body, "max_tokens": room}
                    continue
                else:
                    raise GaveUpError(f"status {status} ({message(text)})")
            self.model.retries += 1
            if attempt < options.attempts:
                await self.pause(min(wait, LONGEST_WAIT_S))
        raise GaveUpError(f"{said}, {attempt} times")

    async def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stopped.is_set() and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.2))

    def count(self, document: dict[str, Any]) -> None:
        usage = document.get("usage")
        if isinstance(usage, dict):
            self.model.prompt_tokens += int(usage.get("prompt_tokens") or 0)
            self.model.tokens += int(usage.get("completion_tokens") or 0)

    def echoed(self, document: dict[str, Any], prompt: Choice, at: int) -> list[float]:
        """The log-probabilities of the continuation's own tokens, of an answer that repeats its prompt."""
        try:
            found = document["choices"][0]["logprobs"]
            values = found["token_logprobs"]
            if self.model.renderer:
                rendered = self.model.renderer.render(prompt)
                start = len(rendered.tokens)
                end = start + len(rendered.continuations[at])
            else:
                context = len(prompt.context.rstrip())
                whole = len(prompt.context) + len(prompt.continuations[at])
                offsets = found["text_offset"]
                start = next(i for i, offset in enumerate(offsets) if offset >= context)
                end = next((i for i, offset in enumerate(offsets) if offset >= whole), len(offsets))
            return [float(value) for value in values[start:end]]
        except (KeyError, TypeError, IndexError, StopIteration, ValueError):
            raise InfrastructureError(
                f"{self.model.options.base_url}: gives no log-probabilities of a prompt; use another backend"
            ) from None


async def fetch(client: Any, url: str, body: dict[str, Any], timeout_s: float) -> tuple[int, Any, str]:
    """Status, headers and text of one answer, all of it within the time. JSON escapes what is not ASCII."""
    async with asyncio.timeout(timeout_s):
        headers = {"Content-Type": "application/json"}
        async with client.stream("POST", url, content=json.dumps(body).encode(), headers=headers) as response:
            found = bytearray()
            async for chunk in response.aiter_bytes():
                found += chunk
                if len(found) > MAX_ANSWER:
                    raise ValueError(f"an answer of more than {MAX_ANSWER >> 20} MiB")
            return response.status_code, response.headers, found.decode("utf-8", "replace")


def content(document: Any) -> tuple[str, str | None]:
    """Text and finish reason. Raises KeyError, TypeError or IndexError where it is not a completion."""
    choice = document["choices"][0]
    text = choice["text"] if "text" in choice else choice["message"]["content"]
    if text is None:  # all of it were thoughts
        text = ""
    if not isinstance(text, str):
        raise TypeError
    return text, choice.get("finish_reason")


def reasoning(document: Any) -> str:
    given = document["choices"][0].get("message") or {}
    found = given.get("reasoning_content") or given.get("reasoning") or ""
    return found if isinstance(found, str) else ""


def message(text: str) -> str:
    """What an error answer says, in at most 200 characters."""
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(text)
        error = document.get("error", document) if isinstance(document, dict) else document
        said = error.get("message") if isinstance(error, dict) else error
        if isinstance(said, str):
            text = said
    return " ".join(text.split())[:200]


def too_long(text: str) -> bool:
    return "context_length_exceeded" in text or bool(TOO_LONG.search(message(text)))


def fitting(text: str, max_tokens: int) -> tuple[int, int]:
    """How many tokens a prompt leaves room for that fits only without as many as were asked for, and the context's.

    Both are 0 where it does not.

    Servers say it in words: the context's size, what was asked for and of what that is made up. vLLM says only that
    more tokens were asked for than its context has, and makes do with what room there is.
    """
    numbers = [int(number) for number in NUMBERS.findall(message(text))]
    if max_tokens not in numbers:
        return 0, 0
    numbers.remove(max_tokens)
    if not numbers or (len(numbers) == 1 and numbers[0] >= max_tokens):
        return 0, 0
    context = numbers[0]
    prompt = next((number for number in numbers[1:] if number < context), 0)
    room = context - prompt
    return (room, context) if 0 < room < max_tokens else (0, 0)


def retry_after(headers: Any) -> float | None:
    """Seconds that a server asks to wait for, by number or date (RFC 9110, section 10.2.3); None where it does not."""
    value = headers.get("retry-after")
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None
