"""`sd_model.cond_stage_model`: texts to what they say, and to tokens.

Hooks that an extension puts on it, or another `forward`, are heard when a job's prompts are encoded (`listen`).
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from modules.compat.original.unet import hung_on
from modules.loading.text import Encoding
from modules.prompts import chunks, tokens
from modules.prompts.chunks import TextPolicy

if TYPE_CHECKING:
    from modules.compat.model import SdModel
    from modules.compat.room import Room


class PromptChunk:
    """77 tokens of a prompt with their weights, as A1111 cuts them; fixes: where textual inversions stand."""

    def __init__(self, chunk: chunks.Chunk | None = None) -> None:
        whole = chunk or chunks.Chunk()
        self.tokens, self.multipliers = list(whole.ids), list(whole.weights)
        self.fixes: list[Any] = list(whole.words)


class Tokenizer:
    """CLIP's vocabulary in the forms of transformers' and OpenCLIP's tokenizers."""

    bos_token_id, eos_token_id = tokens.START, tokens.END

    @property
    def encoder(self) -> dict[str, int]:
        return tokens.vocabulary()

    @property
    def decoder(self) -> dict[int, str]:
        return {ident: word for word, ident in self.encoder.items()}

    get_vocab = lambda self: self.encoder  # noqa: E731

    def encode(self, text: str) -> list[int]:
        return tokens.encode(text)

    def decode(self, ids: Any) -> str:
        words = self.decoder
        return "".join(words.get(int(each), "") for each in ids).replace("</w>", " ")

    def tokenize(self, text: str) -> list[str]:
        return self.convert_ids_to_tokens(self.encode(text))

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        words = self.decoder
        return words.get(ids, "") if isinstance(ids, int) else [words.get(int(each), "") for each in ids]

    def convert_tokens_to_ids(self, words: Any) -> Any:
        return self.encoder.get(words, tokens.END) if isinstance(words, str) else [self.encoder[each] for each in words]

    _convert_token_to_id = convert_tokens_to_ids
    _convert_id_to_token = convert_ids_to_tokens

    def __call__(self, texts: Any, **_: Any) -> dict[str, Any]:
        several = [texts] if isinstance(texts, str) else list(texts)
        made = [self.encode(each) for each in several]
        return {"input_ids": made[0] if isinstance(texts, str) else made}


_tokenizer = Tokenizer()


def tokenize(texts: Any, context_length: int = 77) -> Tensor:
    """int64 (texts, context_length): framed, cut, filled with zeros, as OpenCLIP does."""
    rows = torch.zeros(1 if isinstance(texts, str) else len(texts), context_length, dtype=torch.long)
    for row, text in zip(rows, [texts] if isinstance(texts, str) else texts, strict=True):
        ids = [tokens.START, *tokens.encode(text)[: context_length - 2], tokens.END]
        row[: len(ids)] = torch.tensor(ids)
    return rows


class Clip(nn.Module):
    """One for a checkpoint. chunk_length in tokens."""

    chunk_length = 75
    id_start, id_end, id_pad, comma_token = tokens.START, tokens.END, tokens.END, tokens.COMMA
    is_trainable = False
    legacy_ucg_val = None
    input_key = "txt"
    _room: Any
    _model: Any
    _told: Any

    def __init__(self, room: Room, model: SdModel) -> None:
        super().__init__()
        self.__dict__.update(_room=room, _model=model, _told=None)

    @property
    def wrapped(self) -> Any:
        """The encoder inside: `.tokenizer`, `.transformer`."""
        tower = next(iter(self._model.easel.text.towers.values()))
        return types.SimpleNamespace(tokenizer=self.tokenizer, transformer=tower, model=tower, layer="last")

    @property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer()

    @property
    def hijack(self) -> Any:
        from modules.compat import hijack

        return hijack.model_hijack

    def _policy(self) -> TextPolicy:
        return TextPolicy.of(self._room.app.options.snapshot())

    def forward(self, texts: Any) -> Any:
        """Texts, or SDXL's {"txt": texts, ...} -> tokens (texts, n, width); of SDXL {"crossattn", "vector"}."""
        said = list(texts["txt"] if isinstance(texts, dict) else texts)
        policy, negative = self._told or (self._policy(), getattr(texts, "is_negative_prompt", False))
        encoder = self._model.easel.text
        if self._told is None:
            self._model.easel.residency.use("text")
        with torch.inference_mode():
            return _stacked(type(encoder).encode_together(encoder, said, policy, negative=negative))

    encode = get_learned_conditioning = lambda self, texts: self(texts)

    def listen(self) -> None:
        """Prompts that are encoded from now on come by here, for as long as something hangs on this."""
        encoder: Any = self._model.easel.text
        plain = type(encoder).encode_together

        def encode_together(
            texts: Sequence[str], policy: TextPolicy, *, negative: bool = False
        ) -> tuple[Encoding, ...]:
            if not hung_on(self):
                return plain(encoder, texts, policy, negative=negative)
            self.__dict__["_told"] = policy, negative
            try:
                return _parted(self(self._asked(texts)))
            finally:
                self.__dict__["_told"] = None

        object.__setattr__(encoder, "encode_together", encode_together)

    def _asked(self, texts: Sequence[str]) -> Any:
        return list(texts)

    def tokenize(self, texts: list[str]) -> list[list[int]]:
        return [tokens.encode(text) for text in texts]

    def tokenize_line(self, line: str) -> tuple[list[PromptChunk], int]:
        """(chunks of a prompt, its number of tokens)."""
        cut, count = chunks.chunked(line, self._policy())
        return [PromptChunk(each) for each in cut], count

    def process_texts(self, texts: list[str]) -> tuple[list[list[PromptChunk]], int]:
        made = [self.tokenize_line(text) for text in texts]
        return [cut for cut, _ in made], max((count for _, count in made), default=0)

    def empty_chunk(self) -> PromptChunk:
        return PromptChunk(chunks.Chunk().closed())

    def get_target_prompt_token_count(self, token_count: int) -> int:
        return max(1, -(-token_count // 75)) * 75

    def get_prompt_lengths(self, text: str) -> tuple[int, int]:
        return chunks.counted(text, self._policy())


class GeneralConditioner(Clip):
    """`conditioner` of SDXL: two encoders that speak as one."""

    @property
    def embedders(self) -> list[Clip]:
        return [self, self]

    def _asked(self, texts: Sequence[str]) -> Any:
        return {"txt": list(texts)}


def _stacked(made: Sequence[Encoding]) -> Any:
    tokens_ = torch.stack([each.tokens for each in made])
    pooled = [each.pooled for each in made if each.pooled is not None]
    return {"crossattn": tokens_, "vector": torch.stack(pooled)} if pooled else tokens_


def _parted(made: Any) -> tuple[Encoding, ...]:
    if isinstance(made, Tensor):
        return tuple(Encoding(each) for each in made)
    return tuple(Encoding(*each) for each in zip(made["crossattn"], made["vector"], strict=True))
