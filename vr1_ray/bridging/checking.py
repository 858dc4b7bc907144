"""What can be verified of a bridging run before a model is asked: settings, prompts, rules, sources; and its servers.

`check_bridge` is the first thing that a run does; `try_servers` is for `vr1 check` alone, for a run waits for a server
and asks again.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from vr1_ray.bridging.client import check_endpoint
from vr1_ray.bridging.intake import first_row
from vr1_ray.bridging.prompts import load_prompts
from vr1_ray.bridging.rules import load_rules, run_examples
from vr1_ray.config import BridgeConfig, EndpointConfig, RunConfig, check_config
from vr1_ray.endpoints.endpoint import read_key, without_key

TRY_SECONDS = 5.0  # for one server to list its models


def check_bridge(config: RunConfig) -> list[str]:
    """Everything that can be verified without asking a model; returns what was found, in lines.

    Raises ConfigError, DataError or ValueError that names the field.
    """
    check_config(config)
    bridge = config.bridge
    load_prompts(bridge.prompts)
    rules = load_rules(bridge.rules)
    lines = [f"{len(rules.rules)} rules, {len(rules.rewrites)} rewrites"]
    lines += [f"not as its example says: {line}" for line in run_examples(rules)]
    for name in ("mllm", "reasoner"):
        endpoint = getattr(bridge, name)
        own = replace(endpoint, base_urls=["http://127.0.0.1"]) if endpoint.command else endpoint
        check_endpoint(own, name=name)
        lines.append(
            f"{name}: {endpoint.model} at {', '.join(endpoint.base_urls) or 'a server of its own'}"
        )
    return lines + [
        f"{source.reader}: {source.path}: {first_row(source)}" for source in bridge.sources
    ]


@dataclass(frozen=True, kw_only=True)
class ServerTry:
    """What one server said when its models were asked for.

    Example:
        ServerTry(name="bridge.mllm", url="http://a:8000/v1", found="refused", cure="start it", is_sound=False)
    """

    name: str
    url: str  # "" for a server that the run starts itself, which is not tried
    found: str
    cure: str = ""
    is_sound: bool = True


def try_servers(config: BridgeConfig) -> Iterator[ServerTry]:
    """Every server of `mllm` and `reasoner`, side by side, each for at most TRY_SECONDS. Nothing is generated."""
    asked: list[tuple[str, EndpointConfig, str]] = []
    for name in ("mllm", "reasoner"):
        endpoint: EndpointConfig = getattr(config, name)
        field = f"bridge.{name}"
        if endpoint.command:
            yield ServerTry(
                name=field,
                url="",
                found="not checked",
                cure=f"its command is run by `vr1 bridge`, which waits {endpoint.start_timeout_seconds:g} s for it",
            )
        asked += [(field, endpoint, url) for url in endpoint.base_urls]
    with ThreadPoolExecutor(max_workers=16) as threads:
        yield from threads.map(lambda one: _try(*one), asked)


def _try(name: str, endpoint: EndpointConfig, url: str) -> ServerTry:
    key = read_key(endpoint.api_key_env)
    request = urllib.request.Request(f"{url.rstrip('/')}/models")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=TRY_SECONDS) as reply:
            return _served(name, endpoint, url, reply.read(1_000_000))
    except urllib.error.HTTPError as error:
        if error.code == 404:  # it is there, and lists nothing
            return ServerTry(
                name=name,
                url=url,
                found="answers, lists no models",
                cure=f"whether it serves {endpoint.model!r} shows at the first request",
            )
        return ServerTry(
            name=name,
            url=url,
            found=f"answers {error.code}",
            cure="check base_urls and api_key_env" if error.code < 500 else "look at the server",
            is_sound=False,
        )
    except OSError as error:  # URLError and TimeoutError are such
        reason = without_key(str(getattr(error, "reason", error)), key)
        return ServerTry(
            name=name,
            url=url,
            found=f"no answer within {TRY_SECONDS:g} s"
            if "timed out" in reason
            else f"can't be reached: {reason}",
            cure="start it, or mend base_urls",
            is_sound=False,
        )


def _served(name: str, endpoint: EndpointConfig, url: str, body: bytes) -> ServerTry:
    try:
        models = [str(one["id"]) for one in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        return ServerTry(
            name=name,
            url=url,
            found="answers, but with no list of models",
            cure="base_urls ends in /v1 for most servers",
            is_sound=False,
        )
    if endpoint.model in models:
        return ServerTry(name=name, url=url, found=f"serves {endpoint.model}")
    return ServerTry(
        name=name,
        url=url,
        found=f"does not list {endpoint.model!r}",
        cure=f"it lists {', '.join(models[:5]) or 'none'}; set {name}.model to one of these",
        is_sound=not models,
    )
