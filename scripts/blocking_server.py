"""A reward server as most are written: an async handler that computes, one request at a time.

usage: blocking_server.py CHECKPOINT

It answers POST /get_reward as OpenRLHF's serve_rm does (3c3be623): a request's texts are padded
on the left and put through transformers' own class, while nothing else is read from any client.
"""

import socket
import sys
from typing import Any

import torch
import transformers
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def build_app(folder: str) -> Starlette:
    """Returns the server of a checkpoint."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    auto: Any = transformers.AutoModelForSequenceClassification
    model = auto.from_pretrained(folder).eval().to(device)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")

    @torch.no_grad()
    def score(texts: list[str]) -> list[float]:
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        rewards: list[float] = model(**inputs.to(device)).logits[:, 0].float().tolist()
        return rewards

    async def get_reward(request: Request) -> Response:
        rewards = score((await request.json())["query"])
        return JSONResponse({"rewards": rewards, "scores": rewards, "extra_logs": {}})

    return Starlette(routes=[Route("/get_reward", get_reward, methods=["POST"])])


def main() -> None:
    """Serves on a free port of this machine, and prints it."""
    app = build_app(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as bound:
        print(bound.getsockname()[1], flush=True)
        config = uvicorn.Config(app, log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
