"""Does any request make the server fail? schemathesis against our own OpenAPI for as long as wished.

    python benchmarks/fuzz_api.py --schemathesis VENV/bin/schemathesis [--seconds 600] [--seed N] [--address URL]
                                  [--checks LIST] [-- WORDS FOR SCHEMATHESIS]

schemathesis is none of Easel's packages: `python -m venv VENV && VENV/bin/pip install schemathesis` first. Without
--address a server of our own is started as a user would start it (`--api`, the page too, nothing refused but the routes
that end it) with the embedded model and a temporary folder for all that it writes. Runs of all phases (examples,
coverage, fuzzing, stateful), each with another seed, follow one another until the seconds are full. `fuzz_hooks.py`
keeps single requests small and puts real pictures and names into some. Left out is /easel/v1/events, a stream that
never ends.

Prints what schemathesis found, the answers by status and the jobs as the server itself counted them (/metrics). Exit
code 1 after any answer of 500 or more, except 503 (not ready: told in the schema) and 507 (the disk is full).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx
from serving import ROOT, server

MODELS = ROOT / "models" / "Stable-diffusion"
REQUEST_SECONDS = 120
MEANT = frozenset({503, 507})
ENDLESS = "^/easel/v1/events$"
_ANSWERS = re.compile(r'easel_http_answers_total\{method="\w+",status="(\d+)"\} ([\d.]+)')
_JOBS = re.compile(r'easel_jobs_ended_total\{kind="([^"]+)",state="([^"]+)"\} ([\d.]+)')


def fuzz(program: str, address: str, seed: int, seconds: int, words: Sequence[str]) -> None:
    """One run of all phases with this seed, of at most so many seconds."""
    command = [program, "run", f"{address}/openapi.json", "--seed", str(seed), "--max-time", str(seconds)]
    command += ["--phases", "examples,coverage,fuzzing,stateful", "--exclude-path-regex", ENDLESS]
    command += ["--request-timeout", str(REQUEST_SECONDS), "--generation-database", "none", "--continue-on-failure"]
    hooks = {"SCHEMATHESIS_HOOKS": "fuzz_hooks", "PYTHONPATH": str(Path(__file__).parent), "EASEL_ADDRESS": address}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, *words], cwd=folder, env={**os.environ, **hooks}, check=False)


def answered(address: str) -> Counter[int]:
    """Status -> answers since the server's start."""
    counted: Counter[int] = Counter()
    for status, count in _ANSWERS.findall(httpx.get(f"{address}/metrics").text):
        counted[int(status)] += int(float(count))
    return counted


def worked(address: str) -> str:
    """The jobs that ended, by kind and state: how far requests came."""
    found = _JOBS.findall(httpx.get(f"{address}/metrics").text)
    return ", ".join(f"{int(float(count))} {kind} {state}" for kind, state, count in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schemathesis", default=shutil.which("schemathesis"), help="the program")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the next ones count on")
    parser.add_argument("--address", help="of a running server")
    parser.add_argument("--checks", default="not_a_server_error", help="of schemathesis, with commas; all")
    parser.add_argument("words", nargs="*", help="further words for schemathesis")
    given = parser.parse_args()
    if not given.schemathesis or not shutil.which(given.schemathesis):
        print("Skipped: schemathesis is not here (pip install schemathesis in an environment of its own).")
        return 0
    with contextlib.ExitStack() as stack:
        address = given.address or stack.enter_context(server("--loglevel", "ERROR", "--ckpt-dir", str(MODELS)))
        before, begun, seed = answered(address), time.monotonic(), given.seed
        while (left := given.seconds - (time.monotonic() - begun)) > 0:
            fuzz(given.schemathesis, address, seed, int(left) + 1, ["--checks", given.checks, *given.words])
            seed += 1
        counted, jobs = answered(address) - before, worked(address)
    print(f"{time.monotonic() - begun:.0f} s, {seed - given.seed} runs, {counted.total()} answers: {dict(counted)}")
    print(f"jobs: {jobs}")
    return 1 if any(status >= 500 and status not in MEANT for status in counted) else 0


if __name__ == "__main__":
    sys.exit(main())
