"""Serve the rewards of a model over HTTP, where a training asks for them.

OpenRLHF, slime and LLaMA-Factory, and the clients of vLLM, SGLang, Text Embeddings Inference and
OpenAI connect as they are; see docs/serving.md. A key comes from the environment, RMEVAL_API_KEY,
and is then asked of everybody.
"""

import argparse
import ipaddress
import json
import os
import shlex
import sys
from typing import TYPE_CHECKING

from rmeval.commands.shared.options import (
    add_checks_option,
    add_model_options,
    add_quiet_option,
    display_name,
    load_model_from,
    number_up_to,
    one_of,
    positive,
)
from rmeval.errors import BadOption, one_line
from rmeval.serving.settings import ON_LONG

if TYPE_CHECKING:
    from rmeval.serving.service import Service

KEY = "RMEVAL_API_KEY"
LONGEST_WAIT = 86_400.0
EXAMPLE = [
    {"role": "user", "content": "What is 7 times 8?"},
    {"role": "assistant", "content": "56"},
]


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb until SIGTERM or Ctrl-C, and then until all that waits is answered."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadOption("serve runs in one process a card; start each without a launcher")
    try:
        from rmeval.serving.app import build_app
        from rmeval.serving.running import listen, serve
        from rmeval.serving.settings import Settings
    except ImportError as error:
        raise BadOption(f"{error.name} is not installed: pip install 'rmeval[serve]'") from error
    settings = Settings(
        name=options.name,
        max_wait=options.max_wait,
        max_body_mib=options.max_body_mib,
        on_long=options.on_long,
        text_template=options.text_template,
        deterministic=options.deterministic,
        key=os.environ.get(KEY),
    )
    bound = listen(options.host, options.port)
    host, port = bound.getsockname()[:2]
    if settings.key is None and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        print(
            f"rmeval: whoever reaches port {port} of this machine can have conversations scored: "
            f"set {KEY}, or leave out --host",
            file=sys.stderr,
        )
    app = build_app(lambda: load_model_from(options), settings)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    serve(app, bound, lambda service: _say_ready(service, address, keyed=settings.key is not None))
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser, default=None)
    add_checks_option(parser)
    add_quiet_option(parser)
    group = parser.add_argument_group("server")
    group.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine alone")
    group.add_argument("--port", type=_port, default=8000, help="default: 8000; 0: a free one")
    group.add_argument(
        "--name", type=display_name, help="what clients call the model; default: --model"
    )
    group.add_argument(
        "--max-wait",
        type=number_up_to(LONGEST_WAIT),
        default=100.0,
        metavar="SECONDS",
        help="requests wait; one that would wait longer is told to come again (503); default: 100",
    )
    group.add_argument(
        "--max-body-mib", type=positive, default=32, metavar="N", help="of a request; default: 32"
    )
    group.add_argument(
        "--on-long",
        type=one_of("way of --on-long", ON_LONG),
        default="cut",
        metavar="|".join(ON_LONG),
        help="a conversation that is too long is cut as `rmeval score` does, or refused (400)",
    )
    group.add_argument(
        "--text-template",
        metavar="FILE|NAME|MODEL",
        help="the chat template that clients render text with, if not the model's own: such text "
        "is read back into messages",
    )
    group.add_argument(
        "--deterministic",
        action="store_true",
        help="compute each sequence alone: the same reward to the last bit whatever else waits",
    )


def _port(value: str) -> int:
    if not value.isdecimal() or int(value) > 65_535:
        raise argparse.ArgumentTypeError(f"{value!r} is not a port from 0 to 65535")
    return int(value)


def _say_ready(service: "Service", address: str, *, keyed: bool) -> None:
    """Prints what is served, where, and a command that asks it."""
    told = service.describe()
    engine = service.facts["engine"]
    facts = (f"{told[name]}" for name in ("family", "dtype"))
    print(one_line(f"{told['model']}: {', '.join(facts)}, on {engine['device']}, at {address}"))
    asked = json.dumps({"conversations": [EXAMPLE]})
    key = f' -H "Authorization: Bearer ${KEY}"' if keyed else ""
    kind = shlex.quote("Content-Type: application/json")
    print(f"curl {address}/v1/rewards -H {kind}{key} -d {shlex.quote(asked)}", flush=True)
