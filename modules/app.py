"""The composition root: the only file that knows everyone. `build(flags)` makes the program, `App.serve` runs it."""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from modules.compat.floor import KIND as FLOOR
from modules.compat.floor import Floor
from modules.compat.guests import Guests
from modules.compat.loader import install as run_installer
from modules.core.errors import BadRequest, EaselError, NotFound
from modules.core.paths import Paths
from modules.core.store import Store
from modules.core.types import JsonObject
from modules.generate import describing_jobs, model_jobs, postprocess_steps
from modules.generate.desk import Desk
from modules.generate.extras import Extras
from modules.generate.extras_jobs import KIND as EXTRAS
from modules.generate.extras_jobs import Desk as ExtrasDesk
from modules.generate.extras_jobs import ExtrasJobs, Upload
from modules.generate.moments import Moments
from modules.generate.postprocess import Captioner
from modules.generate.request import Generation
from modules.generate.scripts.axis_rows import builtin as builtin_axes
from modules.generate.scripts.builtin import scripts as builtin_scripts
from modules.generate.scripts.desk import KIND as SCRIPT
from modules.generate.scripts.desk import Desk as ScriptDesk
from modules.generate.scripts.registry import Menus
from modules.imaging.inputs import Inputs
from modules.imaging.upscale import LATENT_MODES
from modules.jobs.cells import Cells
from modules.jobs.history import History, Picture
from modules.jobs.progress import Control
from modules.jobs.queue import Queue
from modules.jobs.table import Job
from modules.jobs.tally import Tally
from modules.jobs.together import Together
from modules.jobs.trash import Trash
from modules.jobs.unfinished import Unfinished
from modules.jobs.webhooks import Webhooks
from modules.loading.describers import Describers
from modules.loading.faces import FaceRestorers
from modules.loading.library import Library, no_checkpoint_message
from modules.loading.upscale.catalog import Upscalers
from modules.merging.jobs import KIND as MERGE
from modules.merging.jobs import MergeDesk
from modules.networks.training_desk import KIND as TRAINING
from modules.networks.training_desk import TrainingDesk
from modules.plugins.desk import Extensions
from modules.plugins.house import House
from modules.plugins.installing import trial
from modules.plugins.installing.manager import KIND as EXTENSIONS
from modules.plugins.installing.manager import WHEELS, Manager
from modules.plugins.installing.packages import Packages
from modules.prompts import counting, infotext, tokens
from modules.prompts.chunks import NO_WORDS, TextPolicy, Word, Words
from modules.prompts.styles import StyleBook
from modules.samplers.catalog import Catalog, builtin
from modules.settings import a1111
from modules.settings import builtin as settings_table
from modules.settings.flags import Flags
from modules.settings.options import Options, frozen_keys
from modules.settings.version import VERSION
from modules.web import api, logs, server
from modules.web.additions import Additions
from modules.web.api.easel import views
from modules.web.memory import memory
from modules.web.security.folders import Folders
from modules.web.services import Readiness, Services
from modules.web.webhooks import Sender

if TYPE_CHECKING:
    from PIL.Image import Image

    from modules.core.device import Placement
    from modules.generate.save import Kept
    from modules.generate.studio import Studio
    from modules.networks.embeddings import Embedding

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
WAITING_AT_MOST = 100_000
PICTURE = re.compile(r"[0-9a-f]{64}")
"""How `Inputs` names pictures."""
PAGE = "ui"
"""The owner of the page's jobs."""
RESULTS_KEPT, RESULTS_SPARE = 200, 50
"""Jobs whose unsaved pictures can still be fetched; how many more there are before some go."""


class App:
    """The program: its parts, put together. `start` begins to work on jobs, `serve` answers requests until stopped."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.paths = _paths(flags)
        self.paths.ensure()
        self.store = Store(self.paths.database)
        self.history = History(self.store)
        self.cells = Cells(self.store)
        self.trash = Trash(self.history, self.paths.data / "trash")
        self.catalog: Catalog = builtin()
        self.styles = StyleBook(self.paths.styles)
        self.folders = Folders.of(flags, self.paths)
        self.options = _options(flags, self.paths, self.catalog, self.folders)
        starting = [Path(flags.ckpt)] if flags.ckpt else []
        self.library = Library(
            self.paths.checkpoints,
            self.store,
            files=starting,
            hashing=not flags.no_hashing,
            vae_folders=self.paths.vae,
            vae_file=Path(flags.vae_path) if flags.vae_path else None,
            hidden=self._hidden,
        )
        self._studio: Studio | None = None
        self._making_studio = threading.Lock()
        self.inputs = Inputs(self.paths.inputs)
        self.upscalers = Upscalers(self.paths.upscalers, self._placement, hidden=self._hidden)
        gfpgan = {"GFPGAN": Path(flags.gfpgan_model)} if flags.gfpgan_model else {}
        self.faces = FaceRestorers(self.paths.faces, self._placement, files=gfpgan)
        self.steps = postprocess_steps.builtin()
        self.moments = Moments()
        self.captioners: dict[str, Captioner] = {}
        self.network_words: set[str] = set()
        self.additions = Additions()
        self.extras = ExtrasJobs(self._extras_desk())
        self.menus = self._menus()
        self.axes = builtin_axes()
        self.scripts = builtin_scripts(self.axes, allow_code=flags.allow_code)
        self.desk = self._desk()
        self.script_desk = self._script_desk()
        self.merging = MergeDesk(
            library=self.library, folder=self.paths.checkpoints[-1], loras=lambda: self.studio.networks.loras
        )
        self.training = self._training_desk()
        self.describers = Describers(
            blip=self.paths.models / "BLIP",
            clip=Path(flags.clip_models_path or self.paths.models / "CLIP"),
            tagger=(self.paths.models / "torch_deepdanbooru", self.paths.models / "deepbooru"),
            lists=self.paths.data / "interrogate",
            placement=lambda: self._placement("interrogate"),
        )
        self.floor = Floor()
        work = {
            SCRIPT: self.script_desk.run,
            FLOOR: self.floor.run,
            EXTRAS: self.extras.run,
            MERGE: self.merging.run,
            TRAINING: self.training.run,
            EXTENSIONS: self._change_extensions,
            model_jobs.KIND: model_jobs.runner(lambda: self.studio, self.options),
            describing_jobs.KIND: describing_jobs.runner(self.describers, self.inputs, self.options, self._make_room),
        }
        runners = {**self.desk.runners(), **work}
        self.tally, self.unfinished = Tally(), Unfinished(self.paths.unfinished)
        self.queue = Queue(
            self.store,
            runners,
            on_pruned=self._forget,
            together={"txt2img": Together(run=self.desk.run_together, room=self.desk.room)},
            on_ended=(self.tally.add, lambda job: self.cells.drop(job.id), self.unfinished.drop, self._tidy),
            on_change=lambda: self.webhooks.wake(),
        )
        self.webhooks = Sender(
            Webhooks(self.store),
            tell=functools.partial(views.message, self.queue),
            forbid_local=lambda: bool(self.options.snapshot()["api_forbid_local_requests"]),
        )
        self._warm = False
        self.floor.open(self.queue)
        self.guests = Guests.open(self)
        self.extensions = self._extensions()
        self.installing = self._manager()
        self.installing.sweep()
        self.extensions.load_all()
        self.startup: dict[str, Any] = {"total": 0.0, "records": {}}
        self._stopper, self._again = server.Stopper(), False
        self.services = self._services()
        self.asgi = self._asgi()
        self.extensions.opened(self.asgi)
        self.guests.started(self.asgi)
        self._resting = False

    def start(self) -> None:
        """Begin to work: jobs left from the last run first."""
        self._choose_checkpoint()
        self._resting = False
        self.queue.start()
        self.unfinished.tidy(self.queue)
        self.webhooks.start()

    def stop(self) -> None:
        """End the work and close the database."""
        self.rest()
        self.extensions.close()
        self.store.close()

    def rest(self) -> None:
        """Give the running job a moment; what is not done by then runs again at the next start. Whoever waits for a
        job is told so. Does its work once.
        """
        if not self._resting:
            self._resting = True
            self.queue.stop(timeout=5)
            self.webhooks.stop()

    def serve(self) -> bool:
        """Answer requests until Ctrl-C -> whether to start again. Raises EaselError for an unusable address."""
        listener = server.bind(self.flags)
        self.start()
        try:
            with server.shared(self.flags, listener):
                server.serve(
                    self.asgi,
                    self.flags,
                    listener,
                    ready=lambda: self._ready(server.address(self.flags, listener)),
                    ending=self.rest,
                    stopper=self._stopper,
                )
        finally:
            self.stop()
        return self._again

    @property
    def studio(self) -> Studio:
        """What makes pictures. Its first use, by the worker or by the warm-up, imports torch and chooses the device."""
        with self._making_studio:
            if self._studio is None:
                self._studio = self._make_studio()
            return self._studio

    def _make_studio(self) -> Studio:
        from modules.core import device
        from modules.generate.studio import Studio
        from modules.loading.approx import ApproxFiles
        from modules.loading.companions import Companions
        from modules.loading.depth import DepthModel
        from modules.loading.shelf import Shelf
        from modules.loading.tiny import TinyFiles
        from modules.networks.apply import Networks

        flags = self.flags
        placement = device.choose(
            use_cpu=flags.use_cpu,
            device_id=flags.device_id,
            no_half=flags.no_half,
            no_half_vae=flags.no_half_vae,
            precision=flags.precision,
            bf16=flags.bf16,
        )
        log.info("Computing on %s in %s.", placement.device, placement.dtype)
        residency = "lowvram" if flags.lowvram else "medvram" if flags.medvram else "normal"
        return Studio(
            library=self.library,
            catalog=self.catalog,
            shelf=Shelf(
                placement,
                residency=residency,
                for_xl="medvram" if flags.medvram_sdxl and residency == "normal" else None,
                companions=Companions(text=self.paths.text_encoders, vae=self.paths.vae),
            ),
            moments=self.moments,
            networks=Networks(
                loras=self.paths.loras,
                hypernetworks=self.paths.hypernetworks,
                embeddings=self.paths.embeddings,
                store=self.store,
                others=self.network_words,
                hidden=self._hidden,
            ),
            styles=self.styles,
            tiny=TinyFiles(self.paths.models / "VAE-taesd"),
            approx=ApproxFiles(self.paths.models / "VAE-approx"),
            upscalers=self.upscalers,
            faces=self.faces,
            inputs=self.inputs,
            version=VERSION,
            asked=functools.partial(self.scripts.asked, self.menus),
            depth=DepthModel([self.paths.models / "midas"], lambda: placement),
        )

    def _extensions(self) -> Extensions:
        """What is in extensions/ of the repository and of the data folder; nothing is loaded yet."""
        house = House(
            moments=self.moments,
            options=self.options,
            catalog=self.catalog,
            upscalers=self.upscalers,
            scripts=self.scripts,
            menus=self.menus,
            axes=self.axes,
            steps=self.steps,
            captioners=self.captioners,
            network_words=self.network_words,
            studio=lambda: self.studio,
            data=self.paths.data,
            models=self.paths.models,
            additions=self.additions,
        )
        shipped = self.paths.shipped_extensions
        folders = (shipped, self.paths.extensions)
        return Extensions(house, self.flags, folders, shipped=shipped, guests=self.guests)

    def _change_extensions(self, job: JsonObject, control: Control) -> JsonObject:
        return self.installing.run(job, control)

    def _manager(self) -> Manager:
        """What installs extensions; Easel's own packages stay as they are pinned."""
        pinned = ROOT / "requirements.txt"
        return Manager(
            self.extensions,
            self.flags,
            folder=self.paths.extensions,
            data=self.paths.data,
            packages=Packages(constraints=pinned, wheels=self.paths.data / WHEELS),
            accepts=self.guests.accepts,
            installer=functools.partial(run_installer, root=ROOT, data=self.paths.data, constraints=pinned),
            trial_run=trial.imported,
        )

    def _hidden(self) -> bool:
        """Whether models are looked for in folders whose names begin with a dot."""
        return bool(self.options.snapshot()["list_hidden_files"])

    def _placement(self, part: str) -> Placement:
        """Where "esrgan", "gfpgan", … compute: with everything else, unless --use-cpu names them."""
        from modules.core import device

        return device.choose(use_cpu=["all"]) if part in self.flags.use_cpu else self.studio.shelf.placement

    def _desk(self) -> Desk:
        return Desk(
            options=self.options,
            library=self.library,
            catalog=self.catalog,
            styles=self.styles,
            upscalers=self.upscalers,
            faces=self.faces,
            version=VERSION,
            studio=lambda: self.studio,
            data=self.paths.data,
            results=self.paths.results,
            record=self._record,
            cells=self.cells,
            unfinished=self.paths.unfinished,
        )

    def _script_desk(self) -> ScriptDesk:
        return ScriptDesk(
            scripts=self.scripts,
            menus=self.menus,
            cells=self.cells,
            options=self.options,
            library=self.library,
            check=self.desk.check,
            studio=lambda: self.studio,
            inputs=self.inputs,
            upscalers=self.upscalers,
            data=self.paths.data,
            results=self.paths.results,
            record=self._record,
            unfinished=self.paths.unfinished,
            guard=lambda given: self.folders.check_settings(given, self.options.snapshot(), prefix="script_args: "),
        )

    def _extras_desk(self) -> ExtrasDesk:
        return ExtrasDesk(
            options=self.options,
            steps=self.steps,
            upscalers=self.upscalers,
            faces=self.faces,
            data=self.paths.data,
            results=self.paths.results,
            inputs=self.inputs,
            moments=lambda: self.moments,
            record=self._record_extras,
            captioners=self.captioners,
        )

    def _training_desk(self) -> TrainingDesk:
        places = {"embedding": self.paths.embeddings[0], "hypernetwork": self.paths.hypernetworks[0]}
        return TrainingDesk(
            library=self.library,
            chosen=lambda: self.options.snapshot()["sd_model_checkpoint"],
            folders=places,
            data=self.paths.data,
            templates=Path(
                self.flags.textual_inversion_templates_dir or self.paths.data / "textual_inversion_templates"
            ),
            runs=self.paths.data / "cache" / "training",
            root=ROOT,
            clear=lambda: self.studio.shelf.clear(),
            queue=lambda: self.queue,
            cpu="all" in self.flags.use_cpu,
        )

    def _make_room(self) -> None:
        """With --medvram or --lowvram a describer does not share the memory with the model."""
        if self.flags.medvram or self.flags.lowvram:
            self.studio.shelf.clear()

    def end(self, how: str) -> None:
        """ "stop" or "restart" in order, or "kill" at once, a moment later so that the answer gets out."""
        if how == "kill":
            threading.Timer(0.2, os._exit, (0,)).start()
            return
        self._again = how == "restart"
        self._stopper.stop()

    def submit_extras(
        self, request: Extras, uploads: Sequence[Upload] = (), *, id: str | None = None, owner: str = ""
    ) -> str:
        """Check postprocessing and its pictures and queue it -> job id. Raises BadRequest, NotFound."""
        for field in ("input_dir", "output_dir"):
            self.folders.check(getattr(request, field), field=field)
        return self.extras.submit(self.queue, request, uploads, id=id, owner=owner)

    def submit(
        self,
        request: Generation,
        *,
        script: str | None = None,
        arguments: Sequence[Any] = (),
        id: str | None = None,
        owner: str = "",
    ) -> str:
        """Check a request (and the script that is to carry it out), freeze today's options with it and queue it -> job
        id. Raises BadRequest, NotFound, NoCheckpoint, DamagedFile.
        """
        self.folders.check_settings(request.override_settings, self.options.snapshot(), prefix="override_settings.")
        if id is not None:
            asked = self.script_desk.asked(request, script, arguments) if script else self.desk.asked(request)
            if self._has(id, asked):
                return id
        row = self.script_desk.row(request, script, arguments) if script else self.desk.row(request)
        try:
            together = row.pop("together", None)
            together = None if owner == PAGE else together  # a page shows each job's own previews
            kind = SCRIPT if script else request.kind
            return self.queue.submit(kind, row, id=id, owner=owner, together=together)
        except BadRequest:
            if id is not None and self._has(id, asked):  # it came twice at once, and the other one was quicker
                return id
            raise

    def _has(self, id: str, asked: JsonObject) -> bool:
        """Whether this very request was queued under this id before: asking twice makes one job."""
        try:
            return bool(self.queue.get(id).request.get("asked") == asked)
        except NotFound:
            return False

    def _tidy(self, job: Job) -> None:
        """After a job's end, when its client has been answered: forget results and given pictures that nobody needs."""
        _trim(self.paths.results, RESULTS_KEPT)

        def needed() -> set[str]:
            waiting = self.queue.list(states=("pending", "running"), limit=WAITING_AT_MOST)
            return {name for job in waiting for name in PICTURE.findall(json.dumps(job.request))}

        self.inputs.sweep(needed)

    def _record(self, job_id: str, kept: Kept, model: str) -> None:
        if not kept.saved:
            return
        width, height = kept.size
        picture = Picture(
            job_id=job_id,
            path=str(kept.path),
            kind=kept.kind,
            infotext=kept.infotext,
            seed=kept.seed,
            width=width,
            height=height,
            model=model,
            sampler=str(infotext.parse(kept.infotext).get("Sampler", "")),
        )
        self.history.add([picture], synced=False)  # with the job's end

    def _record_extras(self, job_id: str, path: Path, infotext: str, size: tuple[int, int]) -> None:
        width, height = size
        picture = Picture(job_id=job_id, path=str(path), kind="extras", infotext=infotext, width=width, height=height)
        self.history.add([picture], synced=False)  # with the job's end

    def _forget(self, jobs: list[Any]) -> None:
        for job in jobs:
            shutil.rmtree(self.paths.results / job.id, ignore_errors=True)

    def _services(self) -> Services:
        return Services(
            flags=self.flags,
            paths=self.paths,
            options=self.options,
            library=self.library,
            queue=self.queue,
            history=self.history,
            trash=self.trash,
            tally=self.tally,
            webhooks=self.webhooks,
            readiness=lambda: Readiness(self._warm, self._studio is not None and self._studio.shelf.holds > 0),
            version=VERSION,
            submit=self.submit,
            scripts=self.scripts,
            inputs=self.inputs,
            submit_extras=self.submit_extras,
            submit_merge=functools.partial(self.merging.submit, self.queue),
            upscalers=self.upscalers,
            steps=self.steps,
            faces=self.faces,
            memory=memory,
            count_tokens=self._count_tokens,
            catalog=self.catalog,
            styles=self.styles,
            menus=self.menus,
            networks=lambda: self.studio.networks,
            embeddings=self._embeddings,
            training=self.training,
            describers=self.describers,
            end=self.end,
            startup=self.startup,
            additions=self.additions,
            extensions=self.extensions.look,
            manage_extension=self._manage_extension,
            installing=self.installing.on(self.queue),
            allowed_folders=(
                self.paths.outputs,
                self.paths.results,
                self.paths.data / "trash",
                *map(Path, self.flags.gradio_allowed_path),
            ),
        )

    def _manage_extension(self, act: str, name: str) -> list[str]:
        """Enable, disable or reload an extension -> what only a restart can do, and what went wrong."""
        acts = {
            "enable": self.extensions.enable,
            "disable": self.extensions.disable,
            "reload": self.extensions.reload,
        }
        outcome = acts[act](name)
        return [*outcome.failures, *outcome.later]

    def _menus(self) -> Menus:
        """Names to choose from, for the page and for scripts."""
        return Menus(
            samplers=lambda: [row.name for row in self.catalog.samplers()],
            schedulers=lambda: [row.label for row in self.catalog.schedulers()],
            checkpoints=lambda: [entry.title for entry in self.library.checkpoints()],
            find_checkpoint=lambda name: self.library.find(name).title,
            find_sampler=self.catalog.find_sampler,
            styles=lambda: list(self.styles.read()),
            vaes=lambda: [file.name for file in self.library.vaes.all()],
            upscalers=self.upscalers.names,
            latent_upscalers=lambda: tuple(LATENT_MODES),
            check_describer=lambda name: self.describers.check(name),
            describe=self._describe,
        )

    def _describe(self, image: Image, name: str, options: Mapping[str, Any]) -> str:
        """What a running script is told of a picture."""
        self._make_room()
        return self.describers.describe(image, name, options)

    def _embeddings(self) -> tuple[list[Embedding], list[Embedding]]:
        """Textual inversions that fit the chosen checkpoint's text encoders, and the others."""
        from modules.loading import families, opening

        found = self.studio.networks.embeddings.scan()
        try:
            checkpoint = self.library.chosen(self.options.snapshot()["sd_model_checkpoint"])
            widths = families.text_widths(opening.header(checkpoint.path))
        except EaselError:
            widths = ()
        fitting = [each for each in found if each.misfit(widths) is None]
        return fitting, [each for each in found if each not in fitting]

    def _count_tokens(self, text: str) -> tuple[int, int]:
        """Room that a prompt takes; textual inversions count as soon as they can be looked at."""
        options, words = self.options.snapshot(), NO_WORDS
        if self._warm:
            fitting = self._embeddings()[0]
            words = Words(Word(each.name, tuple(tokens.encode(each.name)), each.count) for each in fitting)
        comments_too = not options["enable_prompt_comments"]
        return counting.room(text, TextPolicy.of(options), words, comments_too=comments_too)

    def _asgi(self) -> FastAPI:
        asgi: FastAPI = FastAPIOffline(
            title="Easel",
            version=VERSION,
            description="A1111's REST interface.",
            strict_content_type=False,  # a body without a type is JSON, as in A1111; the gate looks who sends it
        )
        api.install(asgi, self.services)
        if self.flags.nowebui:
            return asgi
        from modules.web import ui

        with self.guests.building():
            ui.mount(asgi, self.services)
        return asgi

    def _choose_checkpoint(self) -> None:
        """--ckpt, or where nothing was ever chosen the first file, becomes the selected checkpoint."""
        usable = self.library.checkpoints()
        if self.flags.ckpt:
            self.options.set({"sd_model_checkpoint": self.library.find(self.flags.ckpt).title}, even_frozen=True)
        elif usable and not self.options.snapshot()["sd_model_checkpoint"]:
            self.options.set({"sd_model_checkpoint": usable[0].title}, even_frozen=True)

    def _ready(self, where: str) -> None:
        self.startup["total"] = round(time.time() - psutil.Process().create_time(), 3)
        self.startup["records"] = {"start of the program until it answers": self.startup["total"]}
        server.announce(self.flags, where)
        if not self.library.checkpoints():
            print(no_checkpoint_message(self.paths.checkpoints), flush=True)
        threading.Thread(target=self._warm_up, name="easel-warm-up", daemon=True).start()

    def _warm_up(self) -> None:
        """Import what the first picture needs while the user is still typing."""
        from modules.loading import loader

        try:
            _ = self.studio
            loader.import_libraries()
            self._warm = True
        except EaselError as error:
            log.error("%s", error)


def build(flags: Flags) -> App:
    """The program for these flags. Raises EaselError where folders cannot be used."""
    logs.configure(flags.loglevel, flags.log_format)
    return App(flags)


def _paths(flags: Flags) -> Paths:
    made = Paths.make(
        root=ROOT,
        data_dir=flags.data_dir,
        models_dir=flags.models_dir,
        ckpt_dir=flags.ckpt_dir,
        vae_dir=flags.vae_dir,
        lora_dir=flags.lora_dir,
        embeddings_dir=flags.embeddings_dir,
        hypernetwork_dir=flags.hypernetwork_dir,
        upscaler_dirs={
            "ESRGAN": flags.esrgan_models_path,
            "BSRGAN": flags.bsrgan_models_path,
            "RealESRGAN": flags.realesrgan_models_path,
            "DAT": flags.dat_models_path,
            "ScuNET": flags.scunet_models_path,
            "SwinIR": flags.swinir_models_path,
            "GFPGAN": flags.gfpgan_models_path,
            "Codeformer": flags.codeformer_models_path,
        },
        config=flags.ui_settings_file,
        ui_config=flags.ui_config_file,
        styles=flags.styles_file or None,
    )
    return a1111.with_folders(made, a1111.extra(made.data / a1111.FILE))


def _options(flags: Flags, paths: Paths, catalog: Catalog, folders: Folders) -> Options:
    registry = settings_table.registry(
        samplers=[row.name for row in catalog.samplers()], schedulers=[row.label for row in catalog.schedulers()]
    )
    frozen = frozen_keys(
        registry, everything=flags.freeze_settings, sections=flags.frozen_sections, keys=flags.frozen_settings
    )
    return Options(registry, paths.config, frozen=frozen, guard=folders.check_settings)


def _trim(folder: Path, keep: int) -> None:
    """Keep the newest `keep` folders of unsaved results, and up to `RESULTS_SPARE` more: not each job looks at all."""
    if len(os.listdir(folder)) <= keep + RESULTS_SPARE:
        return
    entries = sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[keep:]:
        shutil.rmtree(entry, ignore_errors=True)
