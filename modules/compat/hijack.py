"""`sd_hijack`: A1111's changes of a model, of which only what extensions read is here."""

from __future__ import annotations

from typing import Any

from modules.compat import room as rooms
from modules.prompts.chunks import TextPolicy, counted

optimizers: list[Any] = []
current_optimizer = None


class SdOptimization:
    """A way to work out attention, as extensions tell theirs; the highest priority comes first in the list."""

    name: str = ""
    label: str | None = None
    cmd_opt: str | None = None
    priority: int = 0

    def title(self) -> str:
        return self.name if self.label is None else f"{self.name} - {self.label}"

    def is_available(self) -> bool:
        return True

    def apply(self) -> None: ...

    def undo(self) -> None: ...


class Embedding:
    """A textual inversion."""

    def __init__(self, vec: Any, name: str, step: int | None = None) -> None:
        self.vec, self.name, self.step = vec, name, step
        self.shape: int | None = None
        self.vectors: int | None = None
        self.cached_checksum = None
        self.filename: str | None = None
        self.sd_checkpoint = self.sd_checkpoint_name = self.optimizer_state_dict = None
        self.hash = self.shorthash = None


class EmbeddingDatabase:
    """`model_hijack.embedding_db`: textual inversions that fit the chosen model, and the others."""

    def __init__(self) -> None:
        self.embedding_dirs: dict[str, Any] = {}
        self.expected_shape = -1
        self.ids_lookup: dict[int, Any] = {}

    def _all(self, fitting: bool) -> dict[str, Embedding]:
        fit, others = rooms.current().app.services.embeddings()
        return {each.name: _shown(each) for each in (fit if fitting else others)}

    @property
    def word_embeddings(self) -> dict[str, Embedding]:
        return self._all(True)

    @property
    def skipped_embeddings(self) -> dict[str, Embedding]:
        return self._all(False)

    def load_textual_inversion_embeddings(self, force_reload: bool = False, sync_with_sd_model: bool = True) -> None:
        """Files are looked at anew at every question."""

    def add_embedding_dir(self, path: str) -> None:
        """Folders are chosen by flags."""

    def find_embedding_at_position(self, tokens: Any, offset: int) -> tuple[Any, Any]:
        return None, None


def _shown(each: Any) -> Embedding:
    made = Embedding(each.vectors if len(each.vectors) > 1 else next(iter(each.vectors.values())), each.name, each.step)
    made.vectors, made.shape = each.count, each.joined.shape[-1]
    made.filename = str(each.file.path)
    return made


def create_embedding_from_data(data: Any, name: str, filename: str = "", filepath: str | None = None) -> Embedding:
    """Vectors of a file's contents."""
    table = data.get("string_to_param", data)
    vec = next(iter(dict(table).values()))
    made = Embedding(vec.detach() if hasattr(vec, "detach") else vec, name)
    made.vectors, made.shape, made.filename = vec.shape[0], vec.shape[-1], filepath
    return made


class StableDiffusionModelHijack:
    """`model_hijack`: counts tokens, knows textual inversions; changes nothing."""

    fixes = None
    layers = None
    circular_enabled = False
    optimization_method = "sdp"

    def __init__(self) -> None:
        self.comments: list[str] = []
        self.extra_generation_params: dict[str, Any] = {}
        self.embedding_db = EmbeddingDatabase()

    @property
    def clip(self) -> Any:
        from modules.compat import model

        found = model.now(rooms.current())
        return found.cond_stage_model if found is not None else None

    def get_prompt_lengths(self, text: str) -> tuple[int, int]:
        """(tokens, tokens that fit into the chunks)."""
        return counted(text, TextPolicy.of(rooms.current().app.options.snapshot()))

    def hijack(self, m: Any) -> None: ...
    def undo_hijack(self, m: Any) -> None: ...
    def apply_circular(self, enable: bool) -> None: ...
    def apply_optimizations(self, option: Any = None) -> None: ...
    def redo_hijack(self, m: Any) -> None: ...
    def clear_comments(self) -> None:
        self.comments, self.extra_generation_params = [], {}

    def tokenize(self, text: str) -> tuple[Any, int]:
        _, count = self.clip.tokenize_line(text)
        return None, count


model_hijack = StableDiffusionModelHijack()


def apply_optimizations(option: Any = None) -> str:
    return "sdp"


def list_optimizers() -> None:
    """Ask those of on_list_optimizers which there are. Easel's attention is torch's own, whichever is chosen."""
    found: list[Any] = []
    rooms.current().callbacks.call("list_optimizers", found)
    optimizers[:] = sorted((each for each in found if each.is_available()), key=lambda each: -each.priority)
