"""The command line: A1111's flags under A1111's names, as one frozen record.

Read by `launch.py`, `webui.py` and the composition root; everything else is handed what it needs. Every flag of A1111
1.10.1 is known. One that has no effect here is accepted and leaves a line in `Flags.notes`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modules.settings import flag_kinds, guest_flags
from modules.settings.flag_kinds import PUBLISHED, absolute, folder, json_object, number, several, switch, text
from modules.settings.version import VERSION

ROOT: Final = Path(__file__).resolve().parents[2]
LEVELS: Final = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
SECRETS: Final = ("api_auth", "gradio_auth", "ngrok")
FORMATS: Final = ("text", "json")
NEW: Final = (
    "bf16",
    "controlnet_dir",
    "allowed_hosts",
    "log_format",
    "setup_only",
    "exit",
    "notes",
    "api_users",
    "page_users",
)

ATTENTION = "torch's own scaled-dot-product attention is always used"
LATER = "Easel does not have this part yet"
NOTHING = "it did nothing in A1111 either"
SIZES = "Easel reads a model's kind and sizes from the file itself"

Users = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flags:
    """One field a flag, under A1111's name for it. Paths are absolute; None and () mean "not given".

    notes: a line for each given flag without effect; api_users, page_users: (user, password) pairs of --api-auth and
    of --gradio-auth with --gradio-auth-path, () where no login is asked for.
    """

    # --- where things lie
    data_dir: str | None = folder("folder for settings, outputs, models and extensions", published="{data}")
    models_dir: str | None = folder("folder of the model folders, instead of models/ in the data folder")
    ckpt: str | None = folder("checkpoint file to start with", published="{root}/model.ckpt")
    ckpt_dir: str | None = folder("one more folder of checkpoints")
    vae_path: str | None = folder("VAE file for every checkpoint, whatever the settings say")
    vae_dir: str | None = folder("one more folder of VAE files")
    lora_dir: str | None = folder("folder of LoRA files", published="{models}/Lora")
    embeddings_dir: str | None = folder("folder of textual inversions", published="{data}/embeddings")
    hypernetwork_dir: str | None = folder("folder of hypernetworks", published="{models}/hypernetworks")
    controlnet_dir: str | None = folder("one more folder of control models")
    esrgan_models_path: str | None = folder("one more folder of ESRGAN upscalers", published="{models}/ESRGAN")
    bsrgan_models_path: str | None = folder("one more folder of BSRGAN upscalers", published="{models}/BSRGAN")
    realesrgan_models_path: str | None = folder("one more folder of Real-ESRGAN", published="{models}/RealESRGAN")
    dat_models_path: str | None = folder("one more folder of DAT upscalers", published="{models}/DAT")
    scunet_models_path: str | None = folder("one more folder of ScuNET", published="{models}/ScuNET")
    swinir_models_path: str | None = folder("one more folder of SwinIR upscalers", published="{models}/SwinIR")
    gfpgan_models_path: str | None = folder("one more folder of GFPGAN", published="{models}/GFPGAN")
    gfpgan_model: str | None = folder("file of GFPGAN")
    clip_models_path: str | None = folder("folder of CLIP models that describe pictures, instead of models/CLIP")
    textual_inversion_templates_dir: str | None = folder(
        "folder of captions for training", published="{root}/textual_inversion_templates"
    )
    codeformer_models_path: str | None = folder("one more folder of CodeFormer", published="{models}/Codeformer")
    ui_settings_file: str | None = folder("file of the settings", published="{data}/config.json")
    ui_config_file: str | None = folder("file of the page's own defaults", published="{data}/ui-config.json")
    styles_file: tuple[str, ...] = several(
        "file of prompt styles; may come twice", published="{data}/styles.csv", action="append", type=absolute
    )

    # --- the server
    listen: bool = switch("answer other machines too, not only this one")
    port: int | None = number("port of the server (7860, or the next free one)", None, least=1, most=65535)
    server_name: str | None = text("address to listen on, instead of 127.0.0.1")
    share: bool = switch("make the page reachable through Gradio's share service")
    api: bool = switch("serve the API as well as the page")
    nowebui: bool = switch("serve the API only")
    allow_code: bool = switch("allow the custom code script: whoever reaches the page or the API runs Python here")
    api_server_stop: bool = switch("API routes that stop, kill and restart the server")
    api_auth: str | None = text('logins for the API: "user:password", several with commas', secret=True)
    gradio_auth: str | None = text('logins for the page: "user:password", several with commas', secret=True)
    gradio_auth_path: str | None = folder("file of logins for the page, one a line or with commas")
    cors_allow_origins: str | None = text("web origins that may call the API, with commas")
    cors_allow_origins_regex: str | None = text("the same as a regular expression")
    tls_keyfile: str | None = folder("private key for https; needs --tls-certfile")
    tls_certfile: str | None = folder("certificate for https; needs --tls-keyfile")
    subpath: str | None = text("path below which a reverse proxy serves the page")
    allowed_hosts: str | None = text("host names, with commas, by which a reverse proxy or your DNS calls this server")
    timeout_keep_alive: int = number("seconds an idle connection is kept", 30)
    gradio_allowed_path: tuple[str, ...] = several(
        "one more folder whose files the page may show", published="{data}", action="append", type=absolute
    )
    autolaunch: bool = switch("open the page in the browser")
    theme: str | None = text("light or dark, whatever the browser prefers")
    administrator: bool = switch("grant the page's administrator rights")
    max_batch_count: int = number("upper end of the batch count slider", 16, least=1)

    # --- settings
    freeze_settings: bool = switch("nobody can change a setting")
    freeze_settings_in_sections: str | None = text("sections whose settings cannot be changed, with commas")
    freeze_specific_settings: str | None = text("settings that cannot be changed, with commas")
    filenames_max_length: int = number("longest file name that is made", 128, least=1)
    unix_filenames_sanitization: bool = switch("replace only what Unix forbids in file names")
    no_hashing: bool = switch("do not compute checkpoints' sha256")
    disable_all_extensions: bool = switch("load no extension")
    disable_extra_extensions: bool = switch("load built-in extensions only")
    log_format: str = text("how it is logged: a line for a person, or a JSON object", default="text", choices=FORMATS)
    loglevel: str | None = text("how much is logged: " + ", ".join(LEVELS), type=str.upper, choices=LEVELS)

    # --- the device
    medvram: bool = switch("keep only the part of the model that works on the GPU")
    lowvram: bool = switch("move even parts of the denoiser to the GPU and back")
    no_half: bool = switch("compute the model in 32 bits")
    no_half_vae: bool = switch("compute the VAE in 32 bits")
    bf16: bool = switch("compute in bfloat16 on a CPU that has it")
    precision: str = text(
        "full: 32 bits, half: 16 bits throughout, autocast: what suits the device",
        default="autocast",
        choices=("full", "half", "autocast"),
    )
    use_cpu: tuple[str, ...] = several("parts to compute on the CPU, or all", nargs="+", type=str.lower, metavar="PART")
    device_id: str | None = text("which GPU to use, e.g. 0")

    # --- the start
    skip_install: bool = switch("install nothing, use the environment as it is")
    reinstall_torch: bool = switch("install torch anew")
    skip_prepare_environment: bool = switch("the same as --skip-install")
    setup_only: bool = switch("make the environment ready and exit")
    exit: bool = switch("the same as --setup-only")

    # --- not built yet
    update_all_extensions: bool = switch("update every extension at the start", note=LATER)
    update_check: bool = switch("look for a newer version at the start", note="Easel asks no server unless told to")
    dump_sysinfo: bool = switch("write a report on the system and exit", note=LATER)
    medvram_sdxl: bool = switch("--medvram for SDXL models only")
    localizations_dir: str | None = folder("folder of translations", published="{root}/localizations", note=LATER)
    enable_insecure_extension_access: bool = switch("let other machines install extensions: programs")
    gfpgan_dir: str | None = folder("folder of GFPGAN", published="./GFPGAN", note="use --gfpgan-models-path")
    ldsr_models_path: str | None = folder("folder of LDSR", published="{models}/LDSR", note="Easel has no LDSR")
    lyco_dir_backcompat: str | None = folder("folder of LyCORIS files", published="{models}/LyCORIS", note=LATER)
    hide_ui_dir_config: bool = switch("hide folder settings on the page", note=LATER)
    use_textbox_seed: bool = switch("a text box for the seed", note=LATER)
    disable_console_progressbars: bool = switch("no progress bars in the console", note="Easel draws none there")
    enable_console_prompts: bool = switch("print prompts in the console", note=LATER)
    api_log: bool = switch("log every API request", note=LATER)
    add_stop_route: bool = switch("a route that stops the server", note=LATER)
    no_prompt_history: bool = switch("keep no prompt history", note=LATER)
    disable_nan_check: bool = switch("do not check pictures for NaN", note=LATER)
    log_startup: bool = switch("print how long each part of the start took", note=LATER)
    ui_debug_mode: bool = switch("start without a model", note="no model is loaded before it is needed")

    # --- no longer of any meaning
    f: bool = switch("run as root", spelling="-f", note="Easel does not mind being root")
    skip_python_version_check: bool = switch("", note="an older Python cannot run Easel")
    skip_torch_cuda_test: bool = switch("", note="Easel does not refuse to start without a GPU")
    skip_version_check: bool = switch("", note="the versions are pinned")
    reinstall_xformers: bool = switch("", note=ATTENTION)
    test_server: bool = switch("", note="the tests start their own server")
    do_not_download_clip: bool = switch("", note="Easel downloads no model unasked")
    no_download_sd_model: bool = switch("", note="Easel downloads no model unasked")
    skip_load_model_at_start: bool = switch("", note="no model is loaded before it is needed")
    config: str | None = folder("", published="{root}/configs/v1-inference.yaml", note=SIZES)
    no_progressbar_hiding: bool = switch("", note=NOTHING)
    lowram: bool = switch("", note="weights are mapped from the file, not copied through RAM")
    disable_model_loading_ram_optimization: bool = switch("", note="weights are mapped, not copied through RAM")
    always_batch_cond_uncond: bool = switch("", note="prompt and negative prompt always share a batch")
    unload_gfpgan: bool = switch("", note=NOTHING)
    upcast_sampling: bool = switch("", note="the steps between model calls are computed in 32 bits anyway")
    ngrok: str | None = text("", note="Easel opens no tunnel but --share", secret=True)
    ngrok_region: str = text("", default="", note="Easel opens no tunnel but --share")
    ngrok_options: Mapping[str, Any] | None = text("", type=json_object, note="Easel opens no tunnel but --share")
    xformers: bool = switch("", note=ATTENTION)
    force_enable_xformers: bool = switch("", note=ATTENTION)
    xformers_flash_attention: bool = switch("", note=ATTENTION)
    deepdanbooru: bool = switch("", note=NOTHING)
    opt_split_attention: bool = switch("", note=ATTENTION)
    opt_sub_quad_attention: bool = switch("", note=ATTENTION)
    sub_quad_q_chunk_size: int = number("", 1024, note=ATTENTION)
    sub_quad_kv_chunk_size: int | None = number("", None, note=ATTENTION)
    sub_quad_chunk_threshold: int | None = number("", None, note=ATTENTION)
    opt_split_attention_invokeai: bool = switch("", note=ATTENTION)
    opt_split_attention_v1: bool = switch("", note=ATTENTION)
    opt_sdp_attention: bool = switch("", note=ATTENTION)
    opt_sdp_no_mem_attention: bool = switch("", note=ATTENTION)
    disable_opt_split_attention: bool = switch("", note=ATTENTION)
    use_ipex: bool = switch("", note="torch itself drives Intel GPUs")
    opt_channelslast: bool = switch("", note="the memory layout is chosen by what is faster")
    show_negative_prompt: bool = switch("", note=NOTHING)
    gradio_debug: bool = switch("", note="the server runs in the foreground anyway")
    gradio_img2img_tool: str | None = text("", note=NOTHING)
    gradio_inpaint_tool: str | None = text("", note=NOTHING)
    gradio_queue: bool = switch("", note="Easel has one queue of its own")
    no_gradio_queue: bool = switch("", note="Easel has one queue of its own")
    disable_safe_unpickle: bool = switch("", note="Easel never runs code from a model file")
    disable_tls_verify: bool = switch("", note="Easel makes no request to its own page")

    # --- made from the above
    notes: tuple[str, ...] = ()
    api_users: Users = dataclasses.field(default=(), repr=False)
    page_users: Users = dataclasses.field(default=(), repr=False)

    @property
    def host(self) -> str:
        """The address to listen on: this machine only, unless --listen or --server-name says otherwise."""
        return self.server_name or ("0.0.0.0" if self.listen else "127.0.0.1")

    @property
    def serves_api(self) -> bool:
        return self.api or self.nowebui

    @property
    def frozen_sections(self) -> tuple[str, ...]:
        return _listed(self.freeze_settings_in_sections)

    @property
    def frozen_settings(self) -> tuple[str, ...]:
        return _listed(self.freeze_specific_settings)

    def as_cmd_flags(self) -> dict[str, Any]:
        """The body of /sdapi/v1/cmd-flags: A1111's keys with its defaults for what is absent, logins left out."""
        data = self.data_dir or str(ROOT)
        places = {"root": str(ROOT), "data": data, "models": self.models_dir or os.path.join(data, "models")}
        answer = {
            field.name: _published(field, getattr(self, field.name), places)
            for field in dataclasses.fields(self)
            if field.name not in NEW
        }
        fixed = {"ngrok_options": dict(self.ngrok_options or {}), "gradio_queue": True}
        return {**answer, **fixed, **dict.fromkeys(SECRETS)}


def parse(arguments: Sequence[str]) -> Flags:
    """The flags in these words (sys.argv without the program). A bad or unknown one: a message and SystemExit(2).

    Flags that an extension's preload.py declares are left to it.
    """
    about = "Easel, a Stable Diffusion web UI. COMMANDLINE_ARGS in the environment is added to the flags."
    name = flag_kinds.program_name()
    parser = flag_kinds.parser(Flags, program=name, about=about, version=f"Easel {VERSION}")
    namespace, rest = parser.parse_known_args(list(arguments))
    if rest:
        places = {ROOT, Path(getattr(namespace, "data_dir", ROOT))}
        unknown = guest_flags.unclaimed(rest, [place / "extensions" for place in places])
        if unknown:
            parser.refuse(unknown)
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in vars(namespace).items()
    }
    if ("tls_keyfile" in given) != ("tls_certfile" in given):
        parser.error("--tls-keyfile and --tls-certfile go together: give both")
    try:
        api_users = logins(given.get("api_auth"), "--api-auth")
        page_users = logins(given.get("gradio_auth"), "--gradio-auth") + _logins_in(given.get("gradio_auth_path"))
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    return Flags(**given, notes=flag_kinds.notes(Flags, given), api_users=api_users, page_users=page_users)


def with_environment(arguments: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The words of the command line, followed by those of A1111's COMMANDLINE_ARGS. Bad quoting: SystemExit(2)."""
    try:
        return [*arguments, *shlex.split(environ.get("COMMANDLINE_ARGS", ""))]
    except ValueError as error:
        flag_kinds.Parser(prog=flag_kinds.program_name()).error(f"COMMANDLINE_ARGS cannot be read: {error}")


def logins(written: str | None, source: str) -> Users:
    """`user:password,user2:password2` (or one a line) -> pairs; None -> (). A password may hold colons, but no comma.

    Raises ArgumentTypeError, naming `source` and the part's number and never the password.
    """
    if written is None:
        return ()
    pairs: list[tuple[str, str]] = []
    parts = [part.strip() for line in written.splitlines() for part in line.split(",")]
    for number_, part in enumerate((part for part in parts if part), start=1):
        user, colon, password = part.partition(":")
        if not (user and colon and password):
            raise argparse.ArgumentTypeError(
                f'{source}: login {number_} is not of the form user:password (write "user:password,user2:password2")'
            )
        pairs.append((user, password))
    if not pairs:
        raise argparse.ArgumentTypeError(f"{source}: there is no login in it")
    return tuple(pairs)


def _logins_in(path: str | None) -> Users:
    if path is None:
        return ()
    try:
        written = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"--gradio-auth-path: {path} cannot be read: {error}") from error
    return logins(written, "--gradio-auth-path")


def _listed(written: str | None) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in (written or "").split(",")) if word)


def _published(field: dataclasses.Field[Any], value: Any, places: Mapping[str, str]) -> Any:
    """A1111's way to say it: lists for tuples, the default path for None, text for a number that is None by default."""
    default = field.metadata[PUBLISHED]
    if field.name == "gradio_allowed_path":  # A1111 adds the given ones to its default
        return [places["data"], *value]
    if isinstance(value, tuple):
        return list(value) if value or default is None else [default.format(**places)]
    if value is None:
        return None if default is None else default.format(**places)
    if field.name == "disable_tls_verify":  # in A1111 the flag stores false, and its absence null
        return "False" if value else None
    return str(value) if field.default is None else value
