"""Which sampler a run uses: chosen once, made when a stage samples, and ended with it."""

import gc
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from glore_models.sampling.port import MakeSampler, Sampler

SamplerKind: TypeAlias = Literal["local", "vllm", "ray"]


class ChoiceError(ValueError):
    """The choice contradicts itself, or what it needs is not installed."""


@dataclass(frozen=True, slots=True)
class SamplerChoice:
    """`local` (transformers in process), `vllm` (one server) or `ray` (a server per worker).

    With `local`, `engines` are processes that draw side by side. Without `engine_urls`, servers
    are started where they are needed: with `ray`, `engines` of them, or one for each GPU, or
    one. Without `ray_address` a Ray of our own is started, its files below `ray_dir`, a folder
    that is there; it is made absolute. `concurrency`: requests in flight at each server.
    Raises ChoiceError.
    """

    kind: str
    engine_urls: tuple[str, ...] = ()
    ray_address: str | None = None
    ray_dir: Path | None = None
    engines: int | None = None
    concurrency: int = 64
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(SamplerKind):
            message = (
                f"no sampler {self.kind!r}; the samplers are {', '.join(get_args(SamplerKind))}"
            )
            raise ChoiceError(message)
        if self.kind != "ray" and (self.ray_address or self.ray_dir):
            message = f"the sampler {self.kind} knows no Ray; choose the sampler ray"
            raise ChoiceError(message)
        if self.ray_address and self.ray_address.startswith("ray://"):
            message = f"no sampling through {self.ray_address}: run it on a node of the cluster"
            raise ChoiceError(message)
        if self.ray_dir is not None:
            object.__setattr__(self, "ray_dir", self.ray_dir.absolute())  # frozen for others
            if not self.ray_dir.is_dir():
                message = f"there is no folder {self.ray_dir} for Ray's files"
                raise ChoiceError(message)
        if self.kind == "vllm" and self.engines:
            message = "the sampler vllm asks one engine; choose local or ray for several"
            raise ChoiceError(message)
        if self.engines and self.engine_urls:
            message = "engines are either named by their URLs or started, not both"
            raise ChoiceError(message)
        most = {"local": 0, "vllm": 1}.get(self.kind)
        if most is not None and len(self.engine_urls) > most:
            message = f"the sampler {self.kind} asks {most} engines, not {len(self.engine_urls)}"
            raise ChoiceError(message)


@contextmanager
def make(choice: SamplerChoice) -> Iterator[MakeSampler]:
    """What makes the samplers of one run; all that they started ends with the block.

    Nothing is started before a sampler is made. A server that was started for one ends when
    the sampler does, so that it holds no memory while something is trained. Making and using
    one raises SamplingError.
    """
    with ExitStack() as stack:
        make_kind: Callable[[SamplerChoice, ExitStack], MakeSampler] = {
            "local": _local,
            "vllm": _vllm,
            "ray": _ray,
        }[choice.kind]
        made = make_kind(choice, stack)
        made.__qualname__ = f"{choice.kind}_sampler"  # what a run remembers of it
        yield made


def _local(choice: SamplerChoice, stack: ExitStack) -> MakeSampler:
    def local(checkpoint: Path, seed: int) -> Sampler:
        if choice.engines:
            from glore_models.sampling.pool import PooledSampler

            sampler = PooledSampler(checkpoint, seed=seed, processes=choice.engines)
            # what it holds is free for training when the stage is over
            stack.callback(weakref.finalize(sampler, sampler.close))
            return sampler
        from glore_models.sampling.local import LocalSampler

        return LocalSampler(checkpoint, seed=seed)

    return local


def _vllm(choice: SamplerChoice, stack: ExitStack) -> MakeSampler:
    def vllm(checkpoint: Path, _seed: int) -> Sampler:
        from glore_models.sampling.server import own_server
        from glore_models.sampling.vllm import VllmSampler, served_name

        if choice.engine_urls:
            (url,) = choice.engine_urls
            name, key = served_name(url, checkpoint, choice.api_key), choice.api_key
            return VllmSampler(url, name, api_key=key, concurrency=choice.concurrency)
        _leave_gpu()
        server, name = ExitStack(), checkpoint.name
        url, own_key = server.enter_context(own_server(checkpoint, name))
        sampler = VllmSampler(url, name, api_key=own_key, concurrency=choice.concurrency)
        # it leaves the GPU to training when the stage is over, and ends with the run at the latest
        stack.callback(weakref.finalize(sampler, server.close))
        return sampler

    return vllm


def _ray(choice: SamplerChoice, stack: ExitStack) -> MakeSampler:
    urls = choice.engine_urls

    @cache
    def join() -> None:
        from glore_models.sampling.ray.cluster import connected

        actors = len(urls) or choice.engines or os.cpu_count() or 1
        stack.enter_context(connected(choice.ray_address, actors=actors, folder=choice.ray_dir))

    def ray(checkpoint: Path, seed: int) -> Sampler:
        join()  # first: Ray reads its environment when it is imported
        from glore_models.sampling.ray.cluster import gpus
        from glore_models.sampling.ray.engines import UrlEngine, hosted, stop
        from glore_models.sampling.ray.sampler import RaySampler
        from glore_models.sampling.vllm import served_name

        if urls:
            key = choice.api_key
            named = [UrlEngine(url, served_name(url, checkpoint, key), key) for url in urls]
            return RaySampler(named, seed=seed, concurrency=choice.concurrency)
        _leave_gpu()
        alone = choice.ray_address is None
        there = gpus()
        count = choice.engines or max(1, there)
        hosts = hosted(checkpoint.resolve(), count, gpus=there, alone=alone)
        sampler = RaySampler(hosts, seed=seed, concurrency=choice.concurrency)
        # they leave the GPUs to training when the stage is over, and end with the run at the latest
        stack.callback(weakref.finalize(sampler, stop, hosts))
        return sampler

    return ray


def _leave_gpu() -> None:
    """Give back what torch keeps of the training before: a server wants nearly the whole GPU."""
    torch = sys.modules.get("torch")
    if torch is not None:
        gc.collect()
        torch.cuda.empty_cache()  # nothing where torch was not on a GPU
