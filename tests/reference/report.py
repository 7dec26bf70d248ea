"""Writes docs/compatibility.md: how near Easel's pictures are to A1111's own, group by group.

    python tests/reference/report.py

Needs shared/reference beside the repository (the shipped cases are only those that are covered already).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

from tests.reference.cases import CHAOTIC, EXEMPT, KEPT, SHARED, Case, comparable, covered, psnr, read, scripted  # noqa: E402
from tests.reference.test_pictures import LEAST, request_of  # noqa: E402
from tests.scripting import answered  # noqa: E402
from tests.studio import Bench  # noqa: E402

HEAD = """# Compatibility with A1111

Made by `python tests/reference/report.py`; do not edit.

Every case below was asked of A1111 1.10.1 itself (CPU, float32, tiny models in the genuine layouts) and is asked of
Easel on every test run. The number is the peak signal-to-noise ratio of Easel's picture against A1111's own PNG: 99 dB
means equal to the last bit, 60 dB is what the tests demand. A1111 against itself with another attention kernel differs
by up to 1 of 255 in a pixel. Infotexts are compared as text, all fields but `Version`.

A1111's extensions, which were tried and what came of it: [a1111-extensions.md](a1111-extensions.md).
"""


def main() -> None:
    cases = read(SHARED)
    if not cases:
        sys.exit(f"{SHARED} is absent.")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        results = {case.name: measured(case, bench, Path(folder)) for case in cases if covered(case) or scripted(case)}
    text = "\n".join([HEAD, *table(cases, results), *worst(results), *exempt(), *rest(cases)])
    (ROOT / "docs" / "compatibility.md").write_text(text + "\n", encoding="utf-8")
    low = sum(decibel < LEAST for decibel, _ in results.values())
    texts = sum(not same for _, same in results.values())
    print(f"{len(results)} of {len(cases)} cases covered; {low} below {LEAST:.0f} dB; {texts} with another infotext")


def measured(case: Case, bench: Bench, folder: Path) -> tuple[float, bool]:
    """(dB of the worst picture, whether all infotexts are equal); a script may have made none."""
    if scripted(case):
        result = answered(case, bench, folder)
    else:
        result = bench.make(request_of(case, bench.studio.inputs), **case.settings)
    decibels = [psnr(Image.open(each["path"]), case.picture(n)) for n, each in enumerate(result["pictures"])]
    ours = [comparable(text) for text in result["info"]["infotexts"]]
    return min(decibels, default=99.0), ours == [comparable(text) for text in case.info["infotexts"]]


def table(cases: list[Case], results: dict[str, tuple[float, bool]]) -> list[str]:
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[case.raw["group"]].append(case)
    lines = ["| group | cases | covered | worst dB | median dB | infotexts equal |", "|---|---|---|---|---|---|"]
    for group, members in groups.items():
        found = [results[case.name] for case in members if case.name in results]
        if not found:
            continue
        decibels = [decibel for decibel, _ in found]
        same = sum(equal for _, equal in found)
        numbers = f"{min(decibels):.1f} | {statistics.median(decibels):.1f} | {same} of {len(found)}"
        lines.append(f"| {group} | {len(members)} | {len(found)} | {numbers} |")
    return lines


def worst(results: dict[str, tuple[float, bool]]) -> list[str]:
    lowest = sorted(results.items(), key=lambda item: item[1][0])[:10]
    rows = [f"| {name} | {decibel:.1f} |" for name, (decibel, _) in lowest]
    return ["", "The ten worst:", "", "| case | dB |", "|---|---|", *rows]


def exempt() -> list[str]:
    chaotic = [f"- `{name}`: {why}." for name, why in CHAOTIC.items()]
    return ["", "Chaotic (not held to 60 dB):", "", *chaotic, *better()]


def better() -> list[str]:
    better = [f"- `{name}`: {why}." for name, why in EXEMPT.items()]
    kept = [f"- `{option}`: {why}." for option, why in KEPT.items()]
    mended = "Kept as A1111 has it for its pictures' sake, each with a setting that mends it:"
    return ["", "Where Easel answers better on purpose:", "", *better, "", mended, "", *kept]


def rest(cases: list[Case]) -> list[str]:
    missing: dict[str, int] = defaultdict(int)
    for case in cases:
        if not (covered(case) or scripted(case)) and case.name not in EXEMPT:
            missing[case.raw["group"]] += 1
    listed = ", ".join(f"{group} ({count})" for group, count in missing.items())
    return ["", f"Not covered yet, each in an issue of its own: {listed}."]


if __name__ == "__main__":
    main()
