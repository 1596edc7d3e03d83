"""The recipes for serving: each is run as far as this machine can, held to the model's rewards."""

import copy
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests/serving"))

from serving_by_hand import opened, serving  # noqa: E402

import rmeval  # noqa: E402
from rmeval.commands import serve as serve_command  # noqa: E402

RECIPES = ROOT / "configs/serve"
TALK = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]
OTHER = [TALK[0], {"role": "assistant", "content": "A fish."}]


@pytest.fixture(scope="module")
def model() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu")


@contextmanager
def served(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`rmeval serve` in a process of its own, on a free port, ready."""
    words = ["-m", "rmeval", "serve", "--model", "demo", "--device", "cpu", "--port", "0"]
    running = subprocess.Popen(
        [sys.executable, *words, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        port = urlsplit(running.stdout.readline().split(" at ")[-1].strip()).port
        assert port is not None
        yield running, port
    finally:
        running.kill()
        running.communicate()


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        found = connection.getresponse()
        text = found.read()
        return found.status, json.loads(text) if found.status == 200 else text
    finally:
        connection.close()


def rewards(port: int, talks: list[Any]) -> list[float]:
    status, found = ask(port, "POST", "/v1/rewards", {"conversations": talks})
    assert status == 200, found
    return list(found["scores"])


def manifests() -> tuple[Any, Any]:
    deployment, service = yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text())
    return deployment, service


def test_kubernetes_takes_the_manifest() -> None:
    """Against the published schemas, where their package is installed."""
    validate = pytest.importorskip("kubernetes_validate")
    for manifest in manifests():
        validate.validate(manifest, "1.32", strict=True)
        broken = copy.deepcopy(manifest)
        broken["spec"]["replica"] = 2
        with pytest.raises(validate.ValidationError):
            validate.validate(broken, "1.32", strict=True)


def test_the_parts_of_the_manifest_find_each_other() -> None:
    deployment, service = manifests()
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    [named], [port] = container["ports"], service["spec"]["ports"]
    assert port["targetPort"] == named["name"]
    assert f"--port={named['containerPort']}" in container["command"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
    [mount], [volume] = (
        container["volumeMounts"],
        deployment["spec"]["template"]["spec"]["volumes"],
    )
    assert mount["name"] == volume["name"]
    assert any(word == f"--model={mount['mountPath']}/checkpoint" for word in container["command"])


def test_the_key_of_the_manifest_is_where_the_server_looks_for_it() -> None:
    text = (RECIPES / "kubernetes.yaml").read_text()
    lines = [re.sub(r"^( {10})# ", r"\1", line) for line in text.splitlines()]
    deployment = next(yaml.safe_load_all("\n".join(lines)))
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    [variable] = container["env"]
    assert variable["name"] == serve_command.KEY
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "rmeval", "key": "key"}


def test_a_pod_is_ready_alive_and_drained_as_the_manifest_asks(model: rmeval.RewardModel) -> None:
    """Its command, with another model, port and address, and its probes; SIGTERM at the end."""
    deployment, _ = manifests()
    spec = deployment["spec"]["template"]["spec"]
    [container] = spec["containers"]
    program, verb, *options = container["command"]
    assert (program, verb) == ("rmeval", "serve")
    ours = ("--model=", "--host=", "--port=", "--quiet")
    with served(*(word for word in options if not word.startswith(ours))) as (running, port):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            assert ask(port, "GET", path)[0] == 200, path
        assert rewards(port, [TALK]) == pytest.approx(model.score([TALK]), abs=1e-4)
        with ThreadPoolExecutor(8) as pool:
            talks = [[TALK[0], {"role": "assistant", "content": f"{n} " * 400}] for n in range(8)]
            asked = [pool.submit(rewards, port, [talk]) for talk in talks]
            time.sleep(0.3)  # they have arrived
            started = time.monotonic()
            running.send_signal(signal.SIGTERM)
            found = [call.result()[0] for call in asked]
        assert running.wait(60) == 0
        assert time.monotonic() - started < spec["terminationGracePeriodSeconds"]
    assert found == pytest.approx(model.score(talks), abs=1e-4)


def test_what_waits_is_answered_before_kubernetes_or_compose_kill() -> None:
    """The longest wait, and a minute for the batch, fit into the grace and nginx's patience."""
    deployment, _ = manifests()
    spec = deployment["spec"]["template"]["spec"]
    [container] = spec["containers"]
    (wait,) = (int(w.split("=")[1]) for w in container["command"] if w.startswith("--max-wait="))
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] >= wait + pause + 60
    for service in compose()["services"].values():
        if "deploy" in service:
            assert service["stop_grace_period"] == f"{spec['terminationGracePeriodSeconds']}s"
    conf = (RECIPES / "nginx.conf").read_text()
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s", conf)
    assert int(patience) > wait


def compose() -> Any:
    return yaml.safe_load((RECIPES / "compose.yaml").read_text())


def test_compose_starts_a_server_on_each_card_and_nginx_knows_both() -> None:
    services = compose()["services"]
    upstream = re.findall(r"server ([\w-]+):(\d+)", (RECIPES / "nginx.conf").read_text())
    ours = {name: service for name, service in services.items() if "deploy" in service}
    assert sorted(name for name, _ in upstream) == sorted(ours) == ["rmeval-0", "rmeval-1"]
    cards = []
    for service in ours.values():
        [device] = service["deploy"]["resources"]["reservations"]["devices"]
        cards += device["device_ids"]
        assert f"--port={upstream[0][1]}" in service["command"]
    assert cards == ["0", "1"]
    assert services["nginx"]["depends_on"].keys() == ours.keys()
    [published] = services["nginx"]["ports"]
    listens = re.findall(r"listen (\d+);", (RECIPES / "nginx.conf").read_text())
    assert published.split(":") == ["127.0.0.1", *listens, *listens]
    [mounted] = services["nginx"]["volumes"]
    assert (RECIPES / mounted.split(":")[0]).is_file()


def test_the_health_check_of_compose_waits_for_the_model() -> None:
    check = compose()["services"]["rmeval-0"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "python3"]
    words = [sys.executable, *check[2:]]
    with serving(opened()) as client:
        here = [word.replace(":8000/", f":{client.port}/") for word in words]
        assert subprocess.run(here, capture_output=True).returncode == 0
        gone = [word.replace("/ready", "/nowhere") for word in here]
        assert subprocess.run(gone, capture_output=True).returncode == 1


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[int]:
    """nginx with the recipe, on loopback, in front of servers at these ports."""
    program = shutil.which("nginx", path=f"/usr/sbin:/usr/bin:{Path.home()}/bin")
    if program is None:
        pytest.skip("needs nginx, which is not here")
    front = free_port()
    conf = (RECIPES / "nginx.conf").read_text()
    for place, port in enumerate(ports):
        conf = conf.replace(f"rmeval-{place}:8000", f"127.0.0.1:{port}")
    conf = conf.replace("listen 8080", f"listen 127.0.0.1:{front}")
    (folder / "nginx.conf").write_text(f"pid {folder}/pid;\n{conf}")
    words = [
        program,
        "-e",
        str(folder / "log"),
        "-p",
        str(folder),
        "-c",
        str(folder / "nginx.conf"),
    ]
    subprocess.run([*words, "-t"], check=True, capture_output=True)
    running = subprocess.Popen([*words, "-g", "daemon off;"])
    try:
        until(lambda: answers(front))
        yield front
    finally:
        running.terminate()
        running.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def answers(port: int) -> bool:
    try:
        return ask(port, "GET", "/ready")[0] == 200
    except OSError:
        return False


def until(done: Callable[[], bool]) -> None:
    patience = time.monotonic() + 60
    while not done():
        assert time.monotonic() < patience
        time.sleep(0.05)


def asked_of(port: int) -> float:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("rmeval_sequences_t"))


def test_nginx_shares_requests_among_two_servers_and_a_drained_one_loses_none(
    model: rmeval.RewardModel, tmp_path: Path
) -> None:
    """One of two ends in mid-run: every client has its reward, and none saw an error."""
    talks = [[TALK[0], {"role": "assistant", "content": f"It is {n}."}] for n in range(60)]
    with (
        served() as (leaving, first),
        served() as (_, second),
        nginx(tmp_path, [first, second]) as front,
        ThreadPoolExecutor(8) as pool,
    ):
        half = list(pool.map(lambda talk: rewards(front, [talk])[0], talks[:30]))
        shares = asked_of(first), asked_of(second)
        asked = [pool.submit(rewards, front, [talk]) for talk in talks[30:]]
        leaving.send_signal(signal.SIGTERM)
        half += [call.result()[0] for call in asked]
        assert leaving.wait(60) == 0
    assert half == pytest.approx(model.score(talks), abs=1e-4)
    assert sum(shares) == 30
    assert min(shares) >= 5


@pytest.mark.filterwarnings("ignore")  # of Ray's own threads and sockets
def test_ray_serve_answers_through_its_ingress(model: rmeval.RewardModel) -> None:
    pytest.importorskip("ray.serve")
    port = free_port()
    script = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from ray import serve\n"
        "import ray_serve\n"
        "serve.start(http_options={'host': '127.0.0.1', 'port': int(sys.argv[2])})\n"
        "serve.run(ray_serve.app({'model': 'demo', 'gpus': '0'}))\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "serve.shutdown()\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", script, str(RECIPES), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        assert any(line.strip() == "ready" for line in running.stdout)
        until(lambda: answers(port))
        talks = [TALK, OTHER]
        assert rewards(port, talks) == pytest.approx(model.score(talks), abs=1e-4)
        status, text = ask(port, "POST", "/v1/rewards", {"conversations": [[]]})
        assert status == 400, text
    finally:
        running.communicate("", timeout=120)
