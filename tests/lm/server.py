"""A server of the tests' own that speaks OpenAI's protocol, well or badly, on a port of this machine."""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NOW = 1_800_000_000.0  # what time it is for the clients of the tests


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    number: int  # how many came before


@dataclass(frozen=True)
class Reply:
    """What to answer, and what goes wrong with it."""

    content: Any = None  # sent as JSON; text as it is
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""  # of content
    cut: int = 0  # bytes that are promised and never sent
    hang: bool = False  # answer nothing until the server stops


def tokens(text: str) -> list[str]:
    """A word goes with the space before it."""
    return re.findall(r" ?\w+|\W", text)


def logp(token: str) -> float:
    return -len(token) / 8


def model(asked: Asked) -> Reply:
    """A server as it should be: it says the last words it was told, the seed and the sample, or echoes."""
    body = asked.body
    if asked.path.endswith("/models"):
        return Reply({"data": [{"id": "small"}, {"id": "large"}]})
    if body.get("echo"):
        own = tokens(body["prompt"])
        logps = [None, *map(logp, own[1:]), -1.0]
        choice = {"text": body["prompt"] + "!", "logprobs": {"tokens": [*own, "!"], "token_logprobs": logps}}
        return Reply({"choices": [choice], "usage": {"prompt_tokens": len(own), "completion_tokens": 1}})
    told = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    choices = []
    for index in range(body.get("n", 1)):
        text = f"{told}, {body.get('seed')}.{index}"
        scored = [{"token": token, "logprob": logp(token)} for token in tokens(text)]
        choice: dict[str, Any] = {"index": index, "finish_reason": "stop" if len(scored) < 20 else "length"}
        if "messages" in body:
            choice["message"] = {"role": "assistant", "content": text}
            choice["logprobs"] = {"content": scored} if body.get("logprobs") else None
        else:
            choice["text"] = text
            logps = [token["logprob"] for token in scored]
            choice["logprobs"] = {"token_logprobs": logps} if body.get("logprobs") else None
        choices.append(choice)
    usage = {"prompt_tokens": 3, "completion_tokens": 2 * len(choices)}
    return Reply({"choices": choices[::-1], "usage": usage})


def first(times: int, bad: Reply) -> Callable[[Asked], Reply]:
    """A server whose first answers are bad."""
    return lambda asked: bad if asked.number < times else model(asked)


def refuses(*names: str) -> Callable[[Asked], Reply]:
    """A server that does not accept some fields; n = 1 it does."""

    def answer(asked: Asked) -> Reply:
        for name in names:
            if asked.body.get(name) and (name, asked.body[name]) != ("n", 1):
                return Reply({"error": {"message": f"unknown field {name}", "type": "invalid_request"}}, 400)
        return model(asked)

    return answer


class Server:
    """Serves on a free port until it is stopped; `answer` may be changed at any time."""

    def __init__(self) -> None:
        self.answer: Callable[[Asked], Reply] = model
        self.asked: list[Asked] = []
        self.under_way = self.most_at_once = 0
        self._lock, self._over = threading.Lock(), threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                owner._serve(self, json.loads(self.rfile.read(length) or "{}"))

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def reset(self) -> None:
        self.answer, self.asked, self.most_at_once = model, [], 0

    def stop(self) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            asked = Asked(handler.path, body, handler.headers, len(self.asked))
            self.asked.append(asked)
            self.under_way += 1
            self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            reply = self.answer(asked)
        finally:
            with self._lock:  # before the client knows, for it may ask again at once
                self.under_way -= 1
        self._send(handler, reply)

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.hang:
            self._over.wait(5)
            handler.close_connection = True
            return
        text = isinstance(reply.content, str)
        data = (reply.content if text else json.dumps(reply.content)).encode()
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", reply.kind or ("text/html" if text else "application/json"))
        handler.send_header("Content-Length", str(len(data) + reply.cut))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = handler.close_connection or reply.cut > 0
