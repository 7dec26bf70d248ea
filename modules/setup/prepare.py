"""The story of a start: choose the environment, install what is missing or changed, run extension installers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from modules.setup import accelerator, installer, stamp
from modules.setup.accelerator import Facts
from modules.setup.environment import Environment, Running, choose, make
from modules.setup.extensions import Extensions, run_installers
from modules.setup.installer import Pip
from modules.setup.requirements import Pin, clear_remains, installed, missing, read_pins
from modules.setup.stamp import Stamp

OTHER_GIGABYTES = 1
TORCH = "torch"


class Say(Protocol):
    """Shows a line to the person who started the program."""

    def __call__(self, line: str, /) -> None: ...


class AskedFor(Protocol):
    """The part of `settings.flags.Flags` that the set-up reads."""

    @property
    def data_dir(self) -> str | None: ...
    @property
    def ui_settings_file(self) -> str | None: ...
    @property
    def skip_install(self) -> bool: ...
    @property
    def skip_prepare_environment(self) -> bool: ...
    @property
    def reinstall_torch(self) -> bool: ...
    @property
    def disable_all_extensions(self) -> bool: ...
    @property
    def disable_extra_extensions(self) -> bool: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the command line asks of the set-up. requirements: pin files, the first with torch and holding as pip
    constraints; extensions: None where no installer is to run."""

    requirements: tuple[Path, ...]
    skip_install: bool = False
    reinstall_torch: bool = False
    extensions: Extensions | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What pip has to do. torch: (re)install it; replace: over one that is there; pins: the others."""

    torch: bool
    replace: bool
    pins: tuple[Pin, ...]
    interrupted: bool

    def __bool__(self) -> bool:
        return self.torch or self.interrupted or bool(self.pins)


def wishes(root: Path, flags: AskedFor, more: Sequence[Path] = ()) -> Wishes:
    """What the flags ask of the set-up of the repository at `root`; more: requirements on top, e.g. the tests'."""
    data = Path(flags.data_dir) if flags.data_dir else root
    settings = Path(flags.ui_settings_file) if flags.ui_settings_file else data / "config.json"
    return Wishes(
        requirements=(root / "requirements.txt", *more),
        skip_install=flags.skip_install or flags.skip_prepare_environment,
        reinstall_torch=flags.reinstall_torch,
        extensions=Extensions(
            folders=(root / "extensions", data / "extensions"),
            settings=settings,
            memory=data / "cache" / "extension-installers.json",
            off=flags.disable_all_extensions or flags.disable_extra_extensions,
        ),
    )


def prepare(root: Path, wishes: Wishes, environ: Mapping[str, str], say: Say) -> Environment:
    """Make an environment ready to run Easel -> that environment. Raises SetupFailed with the way out."""
    running = Running.now()
    environment = choose(root, environ, running, skip_install=wishes.skip_install)
    pins = [pin for path in wishes.requirements for pin in read_pins(path)]
    if environment.left_alone:
        say(describe(environment, pins))
        return environment
    if outstanding(environment, pins, environ, wishes.reinstall_torch):
        install(environment, running, pins, wishes, environ, say)
    else:
        say(f"Requirements: all {len(pins)} are there, nothing to install.")
    if wishes.extensions is not None:
        run_installers(
            wishes.extensions,
            root=root,
            python=environment.python,
            constraints=wishes.requirements[0],
            environ=environ,
            mark=_mark(environment),
            say=say,
        )
    return environment


def outstanding(environment: Environment, pins: Sequence[Pin], environ: Mapping[str, str], again: bool = False) -> Work:
    """What is missing or changed, judged by folder names and the stamp alone (milliseconds).

    again: install torch anew in any case. After an interruption, or when a distribution that was there at the end of
    the last installation has gone, every pin is handed to pip, which looks at the dependencies too.
    """
    have = installed(environment.packages)
    last = stamp.read(environment.stamp)
    asked = accelerator.wish(environ)
    others = [pin for pin in pins if pin.name != TORCH]
    torch = next((pin for pin in pins if pin.name == TORCH), None)
    fits = TORCH in have if asked.startswith("command ") or torch is None else torch.met_by(have.get(TORCH))
    changed = again or (last is not None and last.torch != asked)
    cut_off = last is not None and (not last.finished or not have.keys() >= set(last.distributions))
    broken = environment.own and (not os.access(environment.python, os.X_OK) or "pip" not in have)
    return Work(
        torch=torch is not None and (changed or not fits),
        replace=changed and TORCH in have,
        pins=tuple(others if cut_off or broken else missing(others, have)),
        interrupted=cut_off or broken or last is None,
    )


def install(
    environment: Environment,
    running: Running,
    pins: Sequence[Pin],
    wishes: Wishes,
    environ: Mapping[str, str],
    say: Say,
) -> None:
    """Bring the environment to the pins. May be killed at any moment: the next start continues."""
    with stamp.held(environment.lock, lambda: say("Another start is installing here: waiting for it …")) as lock:
        work = outstanding(environment, pins, environ, wishes.reinstall_torch)
        last = stamp.read(environment.stamp)
        if last is not None and not last.finished:
            say("The last installation was interrupted: going on with it.")
        stamp.write(environment.stamp, Stamp(finished=False, torch=last.torch if last else ""))
        if environment.own:
            clear_remains(environment.packages)
        make(environment, running, say, keep_open=lock)
        pip = Pip(python=environment.python, environ=environ, keep_open=lock)
        if work.torch:
            install_torch(environment, pip, pins, work, accelerator.look(), say)
        stamp.write(environment.stamp, Stamp(finished=False, torch=accelerator.wish(environ)))
        if work.pins:
            installer.need_space(environment.folder, OTHER_GIGABYTES)
            say(f"Installing {_few(work.pins)} …")
            for alone in (False, True):
                wanted = [str(pin) for pin in work.pins if pin.alone is alone]
                if wanted:
                    pip.install(wanted, constraints=wishes.requirements[0], alone=alone)
        names = tuple(sorted(installed(environment.packages)))
        stamp.write(environment.stamp, Stamp(finished=True, torch=accelerator.wish(environ), distributions=names))
        say(f"Requirements: all {len(pins)} are there now.")


def install_torch(environment: Environment, pip: Pip, pins: Sequence[Pin], work: Work, facts: Facts, say: Say) -> None:
    """Install the torch that fits this machine; TORCH_COMMAND and TORCH_INDEX_URL go before our own choice."""
    pin = next(pin for pin in pins if pin.name == TORCH)
    source = accelerator.choose(facts, pin, pip.environ, pip.finds)
    if source.hint:
        say(source.hint)
    installer.need_space(environment.folder, source.gigabytes)
    anew = ("--force-reinstall",) if work.replace and source.pin is not None else ()
    say(f"Installing torch for: {accelerator.accelerator(facts).title} …")
    pip.run([*source.arguments, *anew])


def describe(environment: Environment, pins: Sequence[Pin]) -> str:
    """One line on an environment that is left alone: which, why, and what differs from the pins there."""
    have = installed(environment.packages, whole=False)
    lacks = [pin for pin in missing(pins, have) if pin.name != TORCH]
    torch = accelerator.unfit(have.get(TORCH))
    faults = ([f"not as pinned there: {_few(lacks)}"] if lacks else []) + ([torch] if torch else [])
    state = "; ".join(faults) if faults else f"all {len(pins)} requirements are there"
    return f"Environment {environment.folder} is left alone ({environment.left_alone}): {state}."


def _few(pins: Sequence[Pin], most: int = 6) -> str:
    rest = len(pins) - most
    return ", ".join(str(pin) for pin in pins[:most]) + (f" and {rest} more" if rest > 0 else "")


def _mark(environment: Environment) -> str:
    """Another one for every making of the environment."""
    config = environment.folder / "pyvenv.cfg"
    return str(config.stat().st_mtime_ns) if config.is_file() else str(environment.folder)
