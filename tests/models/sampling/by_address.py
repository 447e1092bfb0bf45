"""Samples on the Ray at an address, and looks whether it is still there: a program of its own.

Ray reads its environment once in a process, so what joins a cluster is not what runs the tests.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from glore_models.sampling.choice import SamplerChoice, make


def main(address: str, checkpoint: str, *engine_urls: str) -> int:
    """Prints the rollouts, which Ray was joined, and its living nodes after it was left."""
    choice = SamplerChoice("ray", engine_urls=engine_urls, ray_address=address, concurrency=4)
    prompts = [f"prompt {number}" for number in range(12)]
    with make(choice) as make_sampler:
        sampler = make_sampler(Path(checkpoint), 1)
        drawn = sampler.sample(prompts, n=2, temperature=0.8, max_tokens=9)
        import ray

        joined = ray.get_runtime_context().gcs_address
    left = not ray.is_initialized()
    ray.init(address=address, log_to_driver=False)
    alive = sum(node["Alive"] for node in ray.nodes())
    ray.shutdown()
    rollouts = [[asdict(each) for each in several] for several in drawn]
    sys.stdout.write(
        json.dumps({"rollouts": rollouts, "joined": joined, "left": left, "alive": alive}) + "\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
