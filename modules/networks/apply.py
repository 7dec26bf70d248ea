"""The networks of a prompt, as a desired state of a model. `generate` calls `Networks.apply` before it encodes.

`apply(model, wanted)` makes the model base + what is wanted, `apply(model, ())` restores every bit, the same wish
again does no work. What cannot be had (an unknown name, a damaged file, a LoRA of another family) is left out and told
in `Applied.notes`; the rest is applied. Textual inversions need no wish: they are words that prompts may use.
"""

from __future__ import annotations

import dataclasses
import logging
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modules.core.errors import DamagedFile, unknown
from modules.core.store import Store
from modules.loading.loader import Model
from modules.loading.walking import Asked, always
from modules.networks import hypernetwork, lora
from modules.networks.deltas import cut
from modules.networks.embeddings import Embedding, Embeddings
from modules.networks.files import Digests, Files, NetworkFile
from modules.networks.hypernetwork import Hypernetwork
from modules.networks.lora import Network
from modules.networks.merge import Merge, Target, Term
from modules.networks.names import UNET, Layers
from modules.prompts import tokens
from modules.prompts.chunks import CHUNK, TextPolicy, Word, Words, chunked
from modules.prompts.network_tags import Tag, Wish, wish

log = logging.getLogger(__name__)

LORA_ENDINGS = (".safetensors", ".pt", ".ckpt")
NONE = "None"
"""A choice in Settings; no file of this name is offered."""


@dataclasses.dataclass(frozen=True)
class Applied:
    """What became of a wish. loras: (name as it was asked for, file), in order; notes: what was left out, in words;
    words: textual inversions that prompts may use now, with the file each came from; bundled: those inside a LoRA;
    misfits: those that do not fit the model, with the reason; towers: text encoders that read words.
    """

    loras: tuple[tuple[str, NetworkFile], ...] = ()
    notes: tuple[str, ...] = ()
    words: Mapping[str, NetworkFile] = dataclasses.field(default_factory=dict)
    bundled: frozenset[str] = frozenset()
    misfits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    towers: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class How:
    """Settings of LoRAs. at_run_time: worn while a layer computes, not merged into its weights; in_memory: files that
    are kept ready beside those in use; told: what is left out is logged too; biases: also those that A1111 leaves out
    (`lora.Change.beside`).
    """

    at_run_time: bool = False
    in_memory: int = 0
    told: bool = False
    biases: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> How:
        return cls(
            at_run_time=options["lora_functional"],
            in_memory=options["lora_in_memory_limit"],
            told=options["lora_not_found_warning_console"],
            biases=options["lora_biases_beside"],
        )


USUAL = How()


@dataclasses.dataclass
class _State:
    """What one loaded model has on it. networks: files made ready, those in use last; terms: what is on its weights;
    blanks: what the text encoders say of no text without networks.
    """

    merge: Merge
    layers: Layers
    wanted: object = None
    applied: Applied = dataclasses.field(default_factory=Applied)
    networks: dict[NetworkFile, Network] = dataclasses.field(default_factory=dict)
    terms: Mapping[Target, Sequence[Term]] = dataclasses.field(default_factory=dict)
    at_run_time: bool = False
    blanks: dict[TextPolicy, Tensor] = dataclasses.field(default_factory=dict)
    remove_hooks: Callable[[], None] | None = None

    def put_on(self, terms: Mapping[Target, Sequence[Term]]) -> None:
        """Make the weights base + terms. Where that fails they are the base."""
        self.terms = {}
        self.merge.set(terms, at_run_time=self.at_run_time)
        self.terms = terms


class Networks:
    """Finds network files and puts them on models. Used by one worker thread; `files` may be read from any."""

    def __init__(
        self,
        *,
        loras: Sequence[Path],
        hypernetworks: Sequence[Path],
        embeddings: Sequence[Path],
        store: Store,
        others: Collection[str] = (),
        hidden: Asked = always,
    ) -> None:
        """others: first words of tags that somebody else serves, as they are at any time; hidden: see `Files`."""
        self._others = others
        self.loras = Files(loras, LORA_ENDINGS, hidden=hidden)
        self.hypernetworks = Files(hypernetworks, (".pt",), hidden=hidden)
        self.embeddings = Embeddings(embeddings)
        self._digests = Digests(store)
        self._states: weakref.WeakKeyDictionary[nn.Module, _State] = weakref.WeakKeyDictionary()

    def default_tags(self, prompt_tags: Iterable[Tag], options: Mapping[str, Any]) -> str:
        """Tags that Settings add to a prompt (sd_lora, sd_hypernetwork) unless it has them; "" for none."""
        named = {(tag.kind, tag.positional[0]) for tag in prompt_tags if tag.positional}
        strength = options["extra_networks_default_multiplier"]
        chosen = (
            ("hypernet", options["sd_hypernetwork"], self.hypernetworks),
            ("lora", options["sd_lora"], self.loras),
        )
        return "".join(
            f"<{kind}:{name}:{strength}>"
            for kind, name, files in chosen
            if name and name != NONE and (kind, name) not in named and any(file.name == name for file in files.all())
        )

    def apply(self, model: Model, tags: Sequence[Tag], how: How = USUAL) -> Applied:
        """Make this the state of the model -> what became of it. Raises only what the machine does (memory)."""
        state = self._state(model)
        wishes, notes = _wishes([tag for tag in tags if tag.kind or tag.word not in self._others])
        loras = self._resolved(_repeated(wishes["lora"], notes), self.loras, "LoRA", notes)
        hypers = self._resolved(wishes["hypernet"], self.hypernetworks, "Hypernetwork", notes)
        scanned = self.embeddings.scan()
        wanted = (tuple(loras), tuple(hypers), tuple(notes), tuple(scanned), how.at_run_time, how.biases)
        if state.wanted == wanted:
            return state.applied
        state.wanted = None
        networks = self._networks(state, loras, notes, how)
        self._merge(model, state, loras, networks, how)
        self._hook(model, state, hypers, notes)
        loaded = tuple((ask.name, file) for ask, file in loras if file in networks)
        state.applied = dataclasses.replace(_taught(model, networks, scanned), loras=loaded, notes=tuple(notes))
        state.wanted = wanted
        if how.told:
            for note in notes:
                log.warning("%s", note)
        return state.applied

    def _state(self, model: Model) -> _State:
        if model.unet not in self._states:
            layers = Layers({UNET: model.unet, **model.text.towers}, model.rules)
            self._states[model.unet] = _State(Merge(model.placement.device, model.placement.dtype), layers)
        return self._states[model.unet]

    def _resolved(
        self, wishes: Sequence[Wish], files: Files, kind: str, notes: list[str]
    ) -> list[tuple[Wish, NetworkFile]]:
        found = []
        for ask in wishes:
            file = files.find(ask.name) if ask.name != NONE else None
            if file is None:
                notes.append(unknown(kind, ask.name, [file.name for file in files.all()]))
            else:
                found.append((ask, file))
        return found

    def _networks(
        self, state: _State, loras: Sequence[tuple[Wish, NetworkFile]], notes: list[str], how: How
    ) -> dict[NetworkFile, Network]:
        """The files ready for this model; those in memory are not read again, and `how.in_memory` more stay there."""
        ready: dict[NetworkFile, Network] = {}
        for _, file in loras:
            if file in ready:
                continue
            try:
                known = state.networks.pop(file, None)  # it goes to the end
                ready[file] = lora.read(file, state.layers) if known is None else known
            except (DamagedFile, OSError) as error:
                notes.append(f"LoRA left out: {error}")
                continue
            if ready[file].unknown:
                log.warning("%s: %d tensors belong to no layer of this model.", file.path.name, ready[file].unknown)
        idle = max(0, len(state.networks) - max(0, how.in_memory))
        state.networks = dict([*list(state.networks.items())[idle:], *ready.items()])
        return ready

    def _merge(
        self,
        model: Model,
        state: _State,
        loras: Sequence[tuple[Wish, NetworkFile]],
        networks: Mapping[NetworkFile, Network],
        how: How,
    ) -> None:
        terms: dict[Target, list[Term]] = {}
        for ask, file in loras:
            if file in networks:
                # rules: a transformer; what LoRAs for those hold is no matter of A1111's pictures
                _collect(terms, networks[file], ask, biases=how.biases or bool(model.rules))
        before, state.at_run_time = state.merge.changed, how.at_run_time
        try:
            state.put_on(terms)
        finally:
            touched = before | terms.keys()
            if any(target.layer.component != UNET for target in touched):
                model.text.forget()

    def blank(self, model: Model, policy: TextPolicy) -> Tensor | None:
        """What the text encoders say of no text without networks (1, 77, width), with which A1111 fills up shorter
        prompts; None where no network is on them, so that they say it themselves.
        """
        state = self._state(model)
        if all(target.layer.component == UNET for target in state.merge.changed):
            return None
        if policy not in state.blanks:
            terms, wanted = state.terms, state.wanted
            state.wanted = None  # should something fail, the next wish is a new one
            try:
                state.put_on({target: each for target, each in terms.items() if target.layer.component == UNET})
                model.text.forget()
                state.blanks[policy] = model.text.encode("", policy)
            finally:
                state.put_on(terms)
                model.text.forget()
            state.wanted = wanted
        return state.blanks[policy]

    def _hook(self, model: Model, state: _State, hypers: Sequence[tuple[Wish, NetworkFile]], notes: list[str]) -> None:
        if state.remove_hooks:
            state.remove_hooks()
            state.remove_hooks = None
        wanted: list[tuple[Hypernetwork, float]] = []
        for ask, file in hypers:
            try:
                wanted.append((hypernetwork.read(file), ask.text))
            except (DamagedFile, OSError) as error:
                notes.append(f"Hypernetwork left out: {error}")
        if wanted:
            state.remove_hooks = hypernetwork.install(model.unet, wanted, model.placement.device)

    def facts(self, applied: Applied, positives: Sequence[str], negatives: Sequence[str], reading: Reading) -> Facts:
        """What the infotext says of networks, under A1111's names, for prompts without their tags, and remarks.

        A1111 counts the words of each different prompt by itself, once a text encoder, and puts those of later prompts
        in front; negative prompts come first.
        """
        found: dict[str, str] = {}
        if reading.lora_hashes and applied.loras:
            pairs = {_clean(name): self._digests.content(file)[:12] for name, file in applied.loras}
            found["Lora hashes"] = ", ".join(f"{name}: {digest}" for name, digest in pairs.items())
        prompts = [*dict.fromkeys(negatives), *dict.fromkeys(positives)]
        if reading.embedding_hashes and applied.words:
            used = [mentioned([prompt], _words(applied.words), reading.policy) for prompt in reversed(prompts)]
            told = [self._told(name, applied, reading) for names in used for name in names * applied.towers]
            found |= {"TI hashes": ", ".join(filter(None, told))} if any(told) else {}
        wrong = mentioned(prompts, _words(applied.misfits), reading.policy) if applied.misfits else []
        notes = tuple(f"Textual inversion {name} left out: {applied.misfits[name]}." for name in wrong)
        return Facts(found, (*applied.notes, *notes))

    def _told(self, name: str, applied: Applied, reading: Reading) -> str:
        """A word with its hash; one from a LoRA has the LoRA's name instead, or nothing."""
        file = applied.words[name]
        if name in applied.bundled:
            return f"{_clean(name)}: {file.name}" if reading.bundled_hashes else ""
        return f"{_clean(name)}: {self._digests.whole(file)[:12]}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How prompts are read, and which networks the infotext names."""

    policy: TextPolicy
    lora_hashes: bool
    embedding_hashes: bool
    bundled_hashes: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Reading:
        return cls(
            policy=TextPolicy.of(options),
            lora_hashes=options["lora_add_hashes_to_infotext"],
            embedding_hashes=options["textual_inversion_add_hashes_to_infotext"],
            bundled_hashes=options["lora_bundled_ti_to_infotext"],
        )


@dataclasses.dataclass(frozen=True)
class Facts:
    """For the infotext, in its order, and remarks for the user."""

    infotext: Mapping[str, str]
    notes: tuple[str, ...]


def _taught(model: Model, networks: Mapping[NetworkFile, Network], scanned: Sequence[Embedding]) -> Applied:
    """Give the text encoder its words. A file of its own wins over one inside a LoRA."""
    widths = model.text.widths
    misfits = {each.name: reason for each in scanned if (reason := each.misfit(widths))}
    fitting = [each for each in scanned if each.name not in misfits]
    vectors: dict[str, Tensor] = {each.name: each.joined for each in fitting}
    sources = {each.name: each.file for each in fitting}
    for file, network in networks.items():
        for name, parts in network.embeddings.items():
            if name not in vectors and _fit(parts, widths):
                vectors[name], sources[name] = torch.cat(parts, dim=-1), file
    model.text.learn(vectors)
    bundled = frozenset(vectors) - {each.name for each in fitting}
    return Applied(words=sources, bundled=bundled, misfits=misfits, towers=len(widths))


def _fit(parts: Sequence[Tensor], widths: Sequence[int]) -> bool:
    counts = {len(each) for each in parts}
    return [each.shape[-1] for each in parts] == list(widths) and len(counts) == 1 and 0 < min(counts) <= CHUNK


def _clean(name: str) -> str:
    """Without the characters that separate names in an infotext."""
    return name.replace(":", "").replace(",", "")


def _words(names: Iterable[str]) -> Words:
    return Words(Word(name, tuple(tokens.encode(name)), 1) for name in names)


def mentioned(prompts: Iterable[str], words: Words, policy: TextPolicy) -> list[str]:
    """Which of the words prompts use, in the order of their first use."""
    chunks = [chunk for prompt in prompts for chunk in chunked(prompt, policy, words)[0]]
    return list(dict.fromkeys(word.name for chunk in chunks for _, word in chunk.words))


def _wishes(tags: Sequence[Tag]) -> tuple[dict[str, list[Wish]], list[str]]:
    """(wishes by kind, what cannot be understood in words)."""
    wishes: dict[str, list[Wish]] = {"lora": [], "hypernet": []}
    notes: list[str] = []
    for tag in tags:
        if tag.kind is None:
            notes.append(f'<{tag.word}:…> is no network that Easel knows ("lora", "lyco", "hypernet"); left out.')
            continue
        try:
            wishes[tag.kind].append(wish(tag))
        except ValueError as error:
            notes.append(str(error))
    return wishes, notes


def _repeated(wishes: Sequence[Wish], notes: list[str]) -> list[Wish]:
    """Every one of a name is as the last of it, for so A1111 adds a LoRA that a prompt names twice."""
    last = {ask.name: ask for ask in wishes}
    for name in dict.fromkeys(ask.name for ask in wishes if ask != last[ask.name]):
        notes.append(
            f"LoRA {name} is named more than once: as in A1111, each time counts with the last one's strengths."
        )
    return [last[ask.name] for ask in wishes]


def _collect(terms: dict[Target, list[Term]], network: Network, ask: Wish, *, biases: bool) -> None:
    for change in network.changes:
        strength = ask.unet if change.layer.component == UNET else ask.text
        weight = change.weight
        if ask.rank is not None and weight is not None:
            weight = cut(weight, ask.rank)
        bias = change.bias if biases or not change.beside else None
        for attribute, delta in (("weight", weight), ("bias", bias)):
            # at strength 0 too A1111 rounds a weight to the number format in which a change is worked out
            if delta is not None and (strength or delta.precision != torch.float32):
                terms.setdefault(Target(change.layer, attribute), []).append((strength, delta))
