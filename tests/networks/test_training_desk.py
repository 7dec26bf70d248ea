"""Made in the program, read by the program: new files change nothing (or what their text says), training changes them,
and a training that is cut off goes on to the very same file.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from modules.core.errors import BadRequest, NotFound
from modules.core.store import Store
from modules.jobs.queue import Queue
from modules.loading import opening
from modules.loading.library import Library
from modules.networks import creating, embeddings
from modules.networks.files import Files
from modules.networks.training_desk import KIND, Training, TrainingDesk
from modules.prompts import tokens

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "reference" / "models" / "Stable-diffusion"
SDXL = ROOT.parent / "shared" / "reference" / "models" / "Stable-diffusion" / "tiny-sdxl.safetensors"
TABLE = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


class Place:
    """A desk over the tiny reference model, a real queue, and two pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue = Queue(Store(folder / "easel.sqlite"), {KIND: lambda job, control: self.desk.run(job, control)})
        self.library = Library([TINY], Store(folder / "hashes.sqlite"))
        self.cleared = 0
        self.desk = TrainingDesk(
            library=self.library,
            chosen=lambda: "tiny-sd1.safetensors",
            folders={kind: folder / f"{kind}s" for kind in ("embedding", "hypernetwork")},
            data=folder,
            templates=folder / "textual_inversion_templates",
            runs=folder / "runs",
            root=ROOT,
            clear=self.clear,
            queue=lambda: self.queue,
            cpu=True,
        )
        self.pictures = folder / "pictures"
        self.pictures.mkdir(parents=True)
        for name, colour in (("a", "red"), ("b", "blue")):
            Image.new("RGB", (64, 64), colour).save(self.pictures / f"{name}.png")
            (self.pictures / f"{name}.txt").write_text(f"{colour}, a square", encoding="utf-8")

    def clear(self) -> None:
        self.cleared += 1

    def asked(self, kind: str, **more: Any) -> Training:
        return Training(kind=kind, name="mine", pictures=str(self.pictures), size=64, **{"steps": 4, **more})

    def trained(self, request: Training) -> dict[str, Any]:
        id = self.desk.submit(request)
        job = self.queue.wait(id, timeout=300)
        assert job.state == "done", job.error
        assert job.result is not None
        return job.result


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    made.queue.start()
    yield made
    made.queue.stop(timeout=20)


def read(path: Path) -> embeddings.Embedding:
    (file,) = [file for file in Files([path.parent], (path.suffix,)).all() if file.path == path]
    found = embeddings.read(file)
    assert found is not None
    return found


def test_an_embedding_begins_as_its_text(place: Place) -> None:
    """With more vectors than tokens each token is taken several times, as in A1111."""
    table = opening.tensors(TINY / "tiny-sd1.safetensors")[TABLE].float()
    path = place.desk.create_embedding("mine", vectors=4, text="red car", overwrite=False)
    found = read(path)
    first, second = (table[id] for id in tokens.encode("red car"))
    torch.testing.assert_close(found.joined, torch.stack([first, first, second, second]))
    assert (found.name, found.step) == ("mine", 0)
    empty = read(place.desk.create_embedding("empty", vectors=2, text="", overwrite=False))
    assert not empty.joined.any()


@pytest.mark.reference
@pytest.mark.skipif(not SDXL.exists(), reason="the reference's SDXL model is not here")
def test_only_models_with_one_text_encoder_take_a_new_embedding(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="text encoders"):
        creating.embedding(tmp_path / "x.pt", SDXL, vectors=1, text="*")


@pytest.mark.slow
def test_an_embedding_is_trained_and_copied_on_the_way(place: Place) -> None:
    path = place.desk.create_embedding("mine", vectors=2, text="thing", overwrite=False)
    before = read(path).joined
    result = place.trained(place.asked("embedding", every=2, rate=0.05, batch=2))
    after = read(path)
    assert (result["step"], after.step, place.cleared) == (4, 4, 1)
    assert after.checkpoint_name == "tiny-sd1"
    assert not torch.equal(after.joined, before)
    copies = sorted(copy.name for copy in (place.folder / "textual_inversion").rglob("*.pt"))
    assert copies == ["mine-2.pt", "mine-4.pt"] or copies == ["mine-2.pt"]
    again = place.trained(place.asked("embedding", steps=4))
    assert torch.equal(read(path).joined, after.joined), "it has its steps already"
    assert again["path"] == str(path)


def started_again(queue: Queue) -> None:
    """Once its worker, which lets the process go, has ended."""
    for _ in range(100):
        try:
            return queue.start()
        except RuntimeError:
            threading.Event().wait(0.1)
    raise AssertionError("the worker did not end")


@pytest.mark.slow
def test_a_hypernetwork_is_trained_and_one_that_is_cut_off_goes_on(place: Place) -> None:
    sizes = [32, 64]
    design = creating.Design(activation="relu")
    path = creating.target(place.desk.folders["hypernetwork"], "mine", overwrite=False)
    layers = {size: tuple(creating._begun(design, size) for _ in range(2)) for size in sizes}
    facts = {
        "step": 0,
        "name": "mine",
        "layer_structure": [1, 2, 1],
        "activation_func": "relu",
        "activate_output": False,
    }
    creating.write_hypernetwork(path, layers, facts)
    untouched = path.read_bytes()
    request = place.asked("hypernetwork", steps=16, rate=1e-3)
    whole = place.trained(request)
    expected = path.read_bytes()
    assert whole["step"] == 16
    assert expected != untouched
    path.write_bytes(untouched)
    id = place.desk.submit(request)
    while (now := place.queue.progress(id)).step < 2 and now.state in ("pending", "running"):
        threading.Event().wait(0.02)
    place.queue.stop(timeout=0)  # the program ends; the process saves and leaves
    assert path.read_bytes() == untouched
    started_again(place.queue)
    assert place.queue.wait(id, timeout=300).state == "done"
    assert path.read_bytes() == expected, "as if it had never been cut off"


def test_what_is_missing_is_named_before_anything_waits(place: Place) -> None:
    with pytest.raises(NotFound, match="create/embedding"):
        place.desk.submit(place.asked("embedding"))
    place.desk.create_embedding("mine", vectors=1, text="*", overwrite=False)
    for change, field in (({"pictures": "/nowhere"}, "data_root"), ({"size": 100}, "training_width")):
        given = {"kind": "embedding", "name": "mine", "pictures": str(place.pictures), "steps": 1, "size": 64, **change}
        with pytest.raises(BadRequest) as caught:
            place.desk.submit(Training(**given))
        assert caught.value.field == field
    assert not place.queue.list()
