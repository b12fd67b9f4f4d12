"""The openai backend against a server on the loopback that does what it is told, faults among it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from qwencoder_eval.errors import InfrastructureError, UsageError
from qwencoder_eval.models import openai
from qwencoder_eval.models.base import Answer, Request
from qwencoder_eval.models.openai import OpenAIModel, ServerOptions, fitting, retry_after, too_long
from qwencoder_eval.models.profiles import named
from qwencoder_eval.types import Chat, Choice, Continue, Infill, Message, Problem, Prompt, Sampling

Reply = tuple[int, dict[str, str], bytes]
CHAT = Chat((Message("user", "hello"),))


def completion(text: str, reason: str = "stop", **more: Any) -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return json.dumps({"choices": [{"text": text, "finish_reason": reason, **more}], "usage": usage}).encode()


class Server:
    """Answers the n-th request for a prompt with ``reply(body, n)``; ``None`` hangs up without a word."""

    def __init__(self) -> None:
        self.reply: Callable[[dict[str, Any], int], Reply | bytes | None] = lambda body, n: completion("x")
        self.seen: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.now = self.most = 0
        self._mutex = threading.Lock()
        self.gate = threading.Event()  # what never answers waits for this
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                server.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._mutex:
            asked = json.dumps(body.get("prompt") or body.get("messages"))
            times = sum(json.dumps(b.get("prompt") or b.get("messages")) == asked for _, b, _ in self.seen)
            self.seen.append((handler.path, body, dict(handler.headers)))
            self.now += 1
            self.most = max(self.most, self.now)
        reply = self.reply(body, times)
        with self._mutex:
            self.now -= 1
        if reply is None:
            handler.close_connection = True
            return
        status, headers, content = reply if isinstance(reply, tuple) else (200, {}, reply)
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    def close(self) -> None:
        self.gate.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(openai, "FIRST_WAIT_S", 0.001)
    made = Server()
    yield made
    made.close()


def model(server: Server, name: str = "some-model", **options: Any) -> OpenAIModel:
    return OpenAIModel(name, ServerOptions(server.url, **options), named("qwen2.5-coder"), "a test")


def ask(
    model: OpenAIModel, *prompts: Prompt, numbers: tuple[int, ...] = (0,), sampling: Sampling | None = None
) -> list[Answer]:
    sampling = sampling or Sampling(max_tokens=50, stop=("\nEND",))
    requests = [
        Request("bench", Problem(f"p/{at}", {}, {}), prompt, sampling, numbers) for at, prompt in enumerate(prompts)
    ]
    return sorted(model.generate(requests), key=lambda answer: (answer.problem, answer.number))


def texts(answers: list[Answer]) -> list[str | None]:
    return [answer.completion.text if answer.completion else None for answer in answers]


# -- what is asked -----------------------------------------------------------------------------------


def test_a_text_to_continue(server: Server) -> None:
    server.reply = lambda body, n: completion(f"after {body['prompt']}", "length")
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=50, stop=("a", "b"), seed=3)
    (answer,) = ask(model(server, api_key="secret"), Continue("one"), sampling=sampling)
    assert answer.completion
    assert (answer.completion.form, answer.completion.finish_reason) == ("continuation", "stop")  # it has an a
    assert (answer.completion.prompt_tokens, answer.completion.tokens) == (7, 3)
    ((path, body, headers),) = server.seen
    assert path == "/v1/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert body == {
        "model": "some-model", "prompt": "one", "max_tokens": 50, "temperature": 0.5, "top_p": 0.9,
        "seed": answer.request.seed(0), "stop": ["a", "b"],
    }  # fmt: skip


def test_every_sample_has_a_seed_of_its_own(server: Server) -> None:
    ask(model(server), Continue("one"), Continue("two"), numbers=(0, 1, 2))
    assert len({body["seed"] for _, body, _ in server.seen}) == 6


def test_a_chat_and_its_prefill(server: Server) -> None:
    reply = {"choices": [{"message": {"content": "answer", "reasoning_content": "hm"}, "finish_reason": "stop"}]}
    server.reply = lambda body, n: json.dumps(reply).encode()
    opened = Chat((Message("user", "hello"), Message("assistant", "```python\n")))
    first, second = ask(model(server), CHAT, opened)
    assert first.completion
    assert (first.completion.text, first.completion.form, first.completion.thoughts) == ("answer", "whole", "hm")
    bodies = {len(body["messages"]): body for path, body, _ in server.seen if path == "/v1/chat/completions"}
    assert "continue_final_message" not in bodies[1]
    assert (bodies[2]["continue_final_message"], bodies[2]["add_generation_prompt"]) == (True, False)
    assert bodies[2]["messages"][1] == {"role": "assistant", "content": "```python\n"}
    assert second.completion


def test_an_infilling_in_the_format_of_the_profile(server: Server) -> None:
    ask(model(server), Infill("before", "after"))
    assert server.seen[0][1]["prompt"] == "<|fim_prefix|>before<|fim_suffix|>after<|fim_middle|>"


def test_a_budget_in_tokens_needs_a_tokenizer(server: Server) -> None:
    with pytest.raises(UsageError, match="name the model's --tokenizer"):
        ask(model(server), Infill("before" * 10, "after", prefix_tokens=5))


def test_a_choice_by_the_log_probabilities_of_its_echo(server: Server) -> None:
    def reply(body: dict[str, Any], n: int) -> bytes:
        assert (body["echo"], body["max_tokens"]) == (True, 1)
        ending = body["prompt"].removeprefix("sky is")
        likely = {" red": [-2.0], " blue": [-0.25, -0.25]}[ending]
        offsets = [0, 3, *range(6, 6 + len(likely)), len(body["prompt"])]
        values = [None, -9.0, *likely, -9.0]  # and the token that was generated behind
        return completion(body["prompt"], logprobs={"token_logprobs": values, "text_offset": offsets})

    server.reply = reply
    (answer,) = ask(model(server), Choice("sky is", (" red", " blue")))
    assert answer.completion
    assert (answer.completion.text, answer.completion.logprobs) == (" blue", (-2.0, -0.5))


def test_a_server_without_log_probabilities_says_so(server: Server) -> None:
    with pytest.raises(InfrastructureError, match="gives no log-probabilities of a prompt; use another backend"):
        ask(model(server), Choice("sky is", (" red", " blue")))


@pytest.mark.parametrize("prompt", [CHAT, Continue("x")])
def test_a_model_named_for_the_other_thing_is_refused(server: Server, prompt: Prompt) -> None:
    kind = "base" if prompt == CHAT else "chat"
    made = OpenAIModel("m", ServerOptions(server.url), named("generic"), "a test", kind)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=rf"m is named like a {kind} model; choose another --profile, say --kind"):
        made.rendered(prompt)
    forced = OpenAIModel("m", ServerOptions(server.url), named("generic"), "a test", kind, force=True)  # type: ignore[arg-type]
    forced.rendered(prompt)
    OpenAIModel("m", ServerOptions(server.url), named("generic"), "a test").rendered(prompt)


def test_no_secret_is_part_of_a_key(server: Server) -> None:
    options = ServerOptions("https://me:secret@host:8000/v1/", api_key="secret")
    made = OpenAIModel("m", options, named("generic"), "a test")
    assert made.key()["server"] == "https://host:8000/v1"
    assert "secret" not in json.dumps([made.key(), made.provenance(), made.usage()])


@pytest.mark.parametrize("url", ["localhost:8000", "", "ftp://x/v1", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(UsageError, match="not an address; give one such as"):
        OpenAIModel("m", ServerOptions(url), named("generic"), "a test")


# -- what comes back ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["nul \0 byte", "lone \ud800 surrogate", "a" * 1_000_000, "```python\nunclosed", "", "\x1b[2J\x1b]0;title\x07"],
)
def test_whatever_a_model_writes_arrives(server: Server, text: str) -> None:
    server.reply = lambda body, n: completion(text)
    (answer,) = ask(model(server), Continue("x"))
    assert texts([answer]) == [text]


def test_stop_strings_are_cut_here_too(server: Server) -> None:
    server.reply = lambda body, n: completion("one\nEND two\nEND", "length")
    (answer,) = ask(model(server), Continue("x"))
    assert answer.completion
    assert (answer.completion.text, answer.completion.finish_reason) == ("one", "stop")


def test_thoughts_do_not_count_as_an_answer(server: Server) -> None:
    made = OpenAIModel("m", ServerOptions(server.url), named("generic"), "a test")
    server.reply = lambda body, n: completion("<think>a\nEND b</think>\n\nx = 1")
    (answer,) = ask(made, Continue("x"))
    assert answer.completion
    assert (answer.completion.text, answer.completion.thoughts) == ("x = 1", "<think>a\nEND b</think>")


def test_tokens_and_dollars(server: Server) -> None:
    made = model(server, price=(2.0, 10.0))
    ask(made, *(Continue(str(at)) for at in range(5)))
    assert made.usage() == {"prompt_tokens": 35, "tokens": 15, "retries": 0, "dollars": pytest.approx(220e-6)}
    assert "dollars" not in model(server).usage()


# -- faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        (429, {"Retry-After": "0"}, b"slow down"),
        (429, {}, b""),
        (500, {}, b"<html>oh"),
        (502, {}, b""),
        (503, {"Retry-After": "soon"}, b"{}"),
        (200, {}, b'{"choices": [{"text": "cut of'),
        (200, {}, b"[]"),
        (200, {}, b'{"choices": []}'),
        (200, {}, b'{"choices": [{"text": 5}]}'),
        (200, {"Content-Length": "5000"}, b'{"choices"'),
        (200, {}, b"\xff\xfe"),
        None,
    ],
)
def test_a_fault_is_tried_again(server: Server, fault: Reply | None) -> None:
    def reply(body: dict[str, Any], n: int) -> Reply | bytes | None:
        return fault if n < 2 else completion("in the end")

    server.reply = reply
    made = model(server, timeout_s=2.0)
    assert texts(ask(made, Continue("x"), Continue("y"))) == ["in the end", "in the end"]
    assert made.retries == 4


def test_attempts_end_and_the_sample_is_left_open(server: Server) -> None:
    """What others were answered is kept."""
    server.reply = lambda body, n: (500, {}, b"broken") if body["prompt"] == "bad" else completion("good")
    made = model(server, attempts=3)
    answers = ask(made, Continue("fine"), Continue("bad"), Continue("fine too"))
    assert texts(answers) == ["good", None, "good"]
    assert answers[1].reason == "status 500 (broken), 3 times"
    assert sum(body["prompt"] == "bad" for _, body, _ in server.seen) == 3


def test_a_server_that_never_answers(server: Server) -> None:
    server.reply = lambda body, n: (server.gate.wait(60) and None) or completion("late")
    (answer,) = ask(model(server, timeout_s=0.2, attempts=2), Continue("x"))
    assert answer.completion is None
    assert "2 times" in answer.reason


def test_a_server_that_is_gone_ends_the_run(server: Server) -> None:
    server.close()
    made = model(server, attempts=2)
    with pytest.raises(InfrastructureError, match=r"ConnectError.*2 times; start the same command again$"):
        ask(made, *(Continue(str(at)) for at in range(500)))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_no_other_request_gets_around_ends_the_run(server: Server, status: int) -> None:
    server.reply = lambda body, n: (status, {}, b'{"error": {"message": "no\\n such model"}}')
    with pytest.raises(InfrastructureError, match=rf"{status} \(no such model\); correct the address, model or key"):
        ask(model(server), *(Continue(str(at)) for at in range(500)))
    assert len(server.seen) <= 64


def test_a_request_that_is_refused_is_not_tried_again(server: Server) -> None:
    server.reply = lambda body, n: (422, {}, b"no seed here")
    (answer,) = ask(model(server), Continue("x"))
    assert (answer.completion, answer.reason, len(server.seen)) == (None, "status 422 (no seed here)", 1)


def test_retry_after_is_waited_for(server: Server) -> None:
    server.reply = lambda body, n: (429, {"Retry-After": "0.3"}, b"") if n == 0 else completion("x")
    began = time.monotonic()
    assert texts(ask(model(server), Continue("x"))) == ["x"]
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [("7", 7, 7), ("0.5", 0.5, 0.5), ("-3", 0, 0), (formatdate(0, usegmt=True), 0, 0)],
)
def test_retry_after_in_seconds_or_as_a_date(value: str, low: float, high: float) -> None:
    found = retry_after({"retry-after": value})
    assert found is not None
    assert low <= found <= high


def test_retry_after_as_a_date_to_come() -> None:
    found = retry_after({"retry-after": formatdate(time.time() + 9000, usegmt=True)})
    assert found is not None
    assert 8000 < found <= 9001


@pytest.mark.parametrize("value", ["", "soon", "Mon, 99 Xxx"])
def test_a_retry_after_that_says_nothing(value: str) -> None:
    assert retry_after({"retry-after": value}) is None
    assert retry_after({}) is None


def test_no_more_than_so_many_at_a_time(server: Server) -> None:
    three = threading.Barrier(3, timeout=60)

    def reply(body: dict[str, Any], n: int) -> bytes:
        three.wait()
        return completion("x")

    server.reply = reply
    assert len(ask(model(server, concurrency=3), *(Continue(str(at)) for at in range(12)))) == 12
    assert server.most == 3


def test_closed_early_it_leaves_no_thread(server: Server) -> None:
    requests = [Request("b", Problem(str(at), {}, {}), Continue(str(at)), Sampling(), (0,)) for at in range(5_000)]
    answers = model(server, concurrency=4).generate(iter(requests))
    next(answers)
    answers.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "asking a server"]
    assert len(server.seen) < 200


# -- contexts that are too short ----------------------------------------------------------------------

VLLM = (
    "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input tokens, "
    "which exceeds this limit even without any output tokens."
)
OPENAI = (
    "This model's maximum context length is 4097 tokens. However, you requested 4927 tokens "
    "(927 in the messages, 4000 in the completion). Please reduce the length of the messages or completion."
)
MANY = "max_tokens=9000 cannot be greater than max_model_len=max_total_tokens=4096. Please request fewer output tokens."
LLAMA = "the request exceeds the available context size. try increasing the context size or enable context shift"


@pytest.mark.parametrize(
    ("said", "max_tokens", "room"),
    [
        (VLLM, 768, (0, 0)),
        (OPENAI, 4000, (3170, 4097)),
        (MANY, 9000, (4096, 4096)),
        (LLAMA, 768, (0, 0)),
        (VLLM, 4096, (0, 0)),
    ],
)
def test_how_much_room_a_server_says_there_is(said: str, max_tokens: int, room: tuple[int, int]) -> None:
    assert too_long(said)
    assert fitting(said, max_tokens) == room


def test_a_prompt_that_does_not_fit_is_an_outcome(server: Server) -> None:
    error = json.dumps({"error": {"message": VLLM}}).encode()
    server.reply = lambda body, n: (400, {}, error) if body["prompt"] == "long" else completion("x")
    first, second = ask(model(server), Continue("long"), Continue("short"))
    assert first.completion
    assert second.completion
    assert (first.completion.finish_reason, second.completion.finish_reason) == ("prompt_too_long", "stop")


def test_a_prompt_that_fits_gets_what_room_there_is(server: Server) -> None:
    error = json.dumps({"error": {"message": OPENAI}}).encode()
    server.reply = lambda body, n: (400, {}, error) if body["max_tokens"] > 3170 else completion("x")
    assert texts(ask(model(server), Continue("x"), sampling=Sampling(max_tokens=4000))) == ["x"]
    assert [body["max_tokens"] for _, body, _ in server.seen] == [4000, 3170]


SHORTENED = Continue("whole", shorter=(Continue("shorter"), Continue("shortest")))


def test_a_prompt_is_shortened_until_it_fits(server: Server) -> None:
    error = json.dumps({"error": {"message": VLLM}}).encode()
    server.reply = lambda body, n: (400, {}, error) if body["prompt"] == "whole" else completion(body["prompt"])
    (answer,) = ask(model(server), SHORTENED)
    assert answer.completion
    assert (answer.completion.text, answer.completion.shortened) == ("shorter", 1)


def test_a_prompt_that_is_too_long_when_shortened_too_is_an_outcome(server: Server) -> None:
    error = json.dumps({"error": {"message": VLLM}}).encode()
    server.reply = lambda body, n: (400, {}, error)
    (answer,) = ask(model(server), SHORTENED)
    assert answer.completion
    assert (answer.completion.finish_reason, answer.completion.shortened) == ("prompt_too_long", 2)
    assert [body["prompt"] for _, body, _ in server.seen] == ["whole", "shorter", "shortest"]


@pytest.mark.parametrize(("prompt_tokens", "expected"), [(927, ("whole", 3170, 0)), (3000, ("shorter", 4000, 1))])
def test_it_is_shortened_rather_than_its_answer_where_that_would_get_less_than_half(
    server: Server, prompt_tokens: int, expected: tuple[str, int, int]
) -> None:
    said = OPENAI.replace("4927", str(prompt_tokens + 4000)).replace("927", str(prompt_tokens))
    error = json.dumps({"error": {"message": said}}).encode()

    def reply(body: dict[str, Any], n: int) -> Any:
        whole = body["prompt"] == "whole"
        return (400, {}, error) if whole and body["max_tokens"] + prompt_tokens > 4097 else completion(body["prompt"])

    server.reply = reply
    (answer,) = ask(model(server), SHORTENED, sampling=Sampling(max_tokens=4000))
    assert answer.completion
    text, room, shortened = expected
    assert (answer.completion.text, answer.completion.shortened) == (text, shortened)
    assert server.seen[-1][1]["max_tokens"] == room


def test_a_service_that_takes_few_stop_strings(server: Server) -> None:
    error = b'{"error": {"message": "Invalid \'stop\': array too long. Expected at most 4"}}'
    server.reply = lambda body, n: (400, {}, error) if len(body["stop"]) > 4 else completion("a 6 b")
    stops = tuple(str(at) for at in range(1, 9))
    made = model(server, concurrency=1)
    answers = ask(made, Continue("x"), Continue("y"), sampling=Sampling(stop=stops))
    assert texts(answers) == ["a ", "a "]
    assert [len(body["stop"]) for _, body, _ in server.seen] == [8, 4, 4]
