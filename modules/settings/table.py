"""The rows of A1111's settings: key, default, label, range or choices, by section (id, title).

`builtin.registry` makes the options of them. Defaults are A1111's but for randn_source (NV: the same picture on every
device), show_progress_type (Approx cheap: needs no extra model) and api_enable_requests (off: nobody makes the server
ask other machines unless its owner wants that). Section ids are A1111's; it uses "ui" twice, so
the live previews have an id of their own here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Row: TypeAlias = "dict[str, Any]"

FORMATS = ("png", "jpg", "jpeg", "webp", "avif", "gif")
REPLACE_ACTIONS = ("Replace", "Add number suffix")
WHEN = ("Always", "When searched", "Never")
CARD_ORDERS = ("Path", "Name", "Date Created", "Date Modified")
PASSES = ("first pass", "second pass", "both passes")
FOLDERS = ("Output Root", "Subdirectory", "Subdirectory (even temp dir)")
PREVIEWS = ("Full", "Approx NN", "Approx cheap", "TAESD")
STYLE_ACTIONS = ("Ignore", "Apply", "Discard", "Apply if any")
CAPTION_ACTIONS = ("Ignore", "Keep", "Prepend", "Append")
SPACES = ("Tab", "Carriage Return", "Line Feed")
THEMES = ("Default", "gradio/base", "gradio/glass", "gradio/monochrome", "gradio/soft")
CANVAS_FUNCTIONS = (
    "Zoom",
    "Adjust brush size",
    "Hotkey enlarge brush",
    "Hotkey shrink brush",
    "Moving canvas",
    "Fullscreen",
    "Reset Zoom",
    "Overlap",
)


def _bool(key: str, default: bool, label: str) -> Row:
    return {"key": key, "default": default, "label": label, "kind": "bool"}


def _int(key: str, default: int, label: str, low: int | None = None, high: int | None = None, step: int = 1) -> Row:
    return {"key": key, "default": default, "label": label, "kind": "int"} | _range(low, high, step)


def _float(
    key: str, default: float, label: str, low: float | None = None, high: float | None = None, step: float | None = None
) -> Row:
    return {"key": key, "default": default, "label": label, "kind": "float"} | _range(low, high, step)


def _range(low: float | None, high: float | None, step: float | None) -> Row:
    return {"minimum": low, "maximum": high, "step": step}


def _text(key: str, default: str, label: str) -> Row:
    return {"key": key, "default": default, "label": label, "kind": "text"}


def _choice(key: str, default: str | None, label: str, choices: tuple[str, ...] | None = None) -> Row:
    """choices None: names of things on this machine, checked by whoever knows them."""
    return {"key": key, "default": default, "label": label, "kind": "choice", "choices": choices}


def _choices(key: str, default: list[str], label: str, choices: tuple[str, ...] | None = None) -> Row:
    return {"key": key, "default": default, "label": label, "kind": "choices", "choices": choices}


def _color(key: str, default: str, label: str) -> Row:
    return {"key": key, "default": default, "label": label, "kind": "color"}


def _note(key: str, text: str) -> Row:
    return {"key": key, "default": text, "label": "", "kind": "html"}


SECTIONS: dict[tuple[str, str], tuple[Row, ...]] = {
    ("saving-paths", "Paths for saving"): (
        _text("outdir_samples", "", "Output directory for images; if empty, the directories below"),
        _text("outdir_txt2img_samples", "outputs/txt2img-images", "Output directory for txt2img images"),
        _text("outdir_img2img_samples", "outputs/img2img-images", "Output directory for img2img images"),
        _text("outdir_extras_samples", "outputs/extras-images", "Output directory for images from extras tab"),
        _text("outdir_grids", "", "Output directory for grids; if empty, the directories below"),
        _text("outdir_txt2img_grids", "outputs/txt2img-grids", "Output directory for txt2img grids"),
        _text("outdir_img2img_grids", "outputs/img2img-grids", "Output directory for img2img grids"),
        _text("outdir_save", "log/images", "Directory for saving images using the Save button"),
        _text("outdir_init_images", "outputs/init-images", "Directory for saving init images when using img2img"),
    ),
    ("saving-images", "Saving images/grids"): (
        _bool("samples_save", True, "Always save all generated images"),
        _choice("samples_format", "png", "File format for images", FORMATS),
        _text("samples_filename_pattern", "", "Images filename pattern"),
        _bool("save_images_add_number", True, "Add number to filename when saving"),
        _choice("save_images_replace_action", "Replace", "Saving the image to an existing file", REPLACE_ACTIONS),
        _bool("grid_save", True, "Always save all generated image grids"),
        _choice("grid_format", "png", "File format for grids", FORMATS),
        _bool("grid_extended_filename", False, "Add extended info (seed, prompt) to filename when saving grid"),
        _bool("grid_only_if_multiple", True, "Do not save grids consisting of one picture"),
        _bool("grid_prevent_empty_spots", False, "Prevent empty spots in grid (when set to autodetect)"),
        _text("grid_zip_filename_pattern", "", "Archive filename pattern"),
        _int("n_rows", -1, "Grid row count; -1 for autodetect, 0 for the batch size", -1, 16),
        _text("font", "", "Font for image grids that have text"),
        _color("grid_text_active_color", "#000000", "Text color for image grids"),
        _color("grid_text_inactive_color", "#999999", "Inactive text color for image grids"),
        _color("grid_background_color", "#ffffff", "Background color for image grids"),
        _bool("save_images_before_face_restoration", False, "Save a copy before face restoration"),
        _bool("save_images_before_highres_fix", False, "Save a copy before highres fix"),
        _bool("save_images_before_color_correction", False, "Save a copy before img2img color correction"),
        _bool("save_mask", False, "For inpainting, save a copy of the greyscale mask"),
        _bool("save_mask_composite", False, "For inpainting, save a masked composite"),
        _int("jpeg_quality", 80, "Quality for saved jpeg and avif images", 1, 100),
        _bool("webp_lossless", False, "Use lossless compression for webp images"),
        _bool("export_for_4chan", True, "Save copy of large images as JPG"),
        _float("img_downscale_threshold", 4.0, "File size limit for the above option, MB", 0),
        _int("target_side_length", 4000, "Width/height limit for the above option, in pixels", 1),
        _int("img_max_size_mp", 200, "Maximum image size", 1),
        _bool("use_original_name_batch", True, "Keep original file names in the batch mode of extras"),
        _bool("use_upscaler_name_as_suffix", False, "Upscaler name as filename suffix in extras"),
        _bool("save_selected_only", True, "'Save' button saves only the selected image"),
        _bool("save_write_log_csv", True, "'Save' button writes log.csv"),
        _bool("save_init_img", False, "Save init images when using img2img"),
        _text("temp_dir", "", "Directory for temporary images; leave empty for default"),
        _bool("clean_temp_dir_at_start", False, "Empty that temporary directory at start"),
        _bool("save_incomplete_images", False, "Save incomplete images"),
        _bool("notification_audio", True, "Play notification sound after image generation"),
        _int("notification_volume", 100, "Notification sound volume", 0, 100),
    ),
    ("saving-to-dirs", "Saving to a directory"): (
        _bool("save_to_dirs", True, "Save images to a subdirectory"),
        _bool("grid_save_to_dirs", True, "Save grids to a subdirectory"),
        _bool("use_save_to_dirs_for_ui", False, "'Save' button saves to a subdirectory"),
        _text("directories_filename_pattern", "[date]", "Directory name pattern"),
        _int("directories_max_prompt_words", 8, "Max prompt words for [prompt_words] pattern", 1, 20),
    ),
    ("compatibility", "Compatibility"): (
        _bool("auto_backcompat", True, "Automatic backward compatibility"),
        _bool("use_old_emphasis_implementation", False, "Use old emphasis implementation"),
        _bool("use_old_karras_scheduler_sigmas", False, "Use old karras scheduler sigmas (0.1 to 10)"),
        _bool("no_dpmpp_sde_batch_determinism", False, "DPM++ SDE depends on the batch size"),
        _bool("use_old_hires_fix_width_height", False, "Hires fix: width/height are the final size"),
        _bool("hires_fix_use_firstpass_conds", False, "Hires fix: second pass uses conds of the first"),
        _bool("use_old_scheduling", False, "Use old prompt editing timelines"),
        _bool("use_downcasted_alpha_bar", False, "Downcast model alphas_cumprod to fp16"),
        _bool("refiner_switch_by_sample_steps", False, "Switch to refiner by sampling steps"),
        _bool("lora_functional", False, "Lora: use the old, slower method"),
        _bool("lora_biases_beside", False, "Lora: apply biases beside networks of every kind"),
        _bool("backtrack_moves_embeddings", False, "Prompt word wrap takes textual inversions along"),
    ),
    ("extra_networks", "Extra Networks"): (
        _bool("extra_networks_show_hidden_directories", True, "Show hidden directories"),
        _bool("extra_networks_dir_button_function", False, "Directory buttons begin with '/'"),
        _choice("extra_networks_hidden_models", "When searched", "Show cards for models in hidden directories", WHEN),
        _float("extra_networks_default_multiplier", 1.0, "Default multiplier for extra networks", 0, 2, 0.01),
        _int("extra_networks_card_width", 0, "Card width for Extra Networks", 0),
        _int("extra_networks_card_height", 0, "Card height for Extra Networks", 0),
        _float("extra_networks_card_text_scale", 1.0, "Card text scale", 0, 2, 0.01),
        _bool("extra_networks_card_show_desc", True, "Show description on card"),
        _bool("extra_networks_card_description_is_html", False, "Treat card description as HTML"),
        _choice("extra_networks_card_order_field", "Path", "Default order field for cards", CARD_ORDERS),
        _choice("extra_networks_card_order", "Ascending", "Default order for cards", ("Ascending", "Descending")),
        _choice("extra_networks_tree_view_style", "Dirs", "Extra Networks directory view style", ("Tree", "Dirs")),
        _bool("extra_networks_tree_view_default_enabled", True, "Show the Extra Networks directory view by default"),
        _int("extra_networks_tree_view_default_width", 180, "Default width for the directory tree view", 0),
        _text("extra_networks_add_text_separator", " ", "Extra networks separator"),
        _text("ui_extra_networks_tab_reorder", "", "Extra networks tab order"),
        _bool("textual_inversion_print_at_load", False, "Print embeddings when loading model"),
        _bool("textual_inversion_add_hashes_to_infotext", True, "Add Textual Inversion hashes to infotext"),
        _choice("sd_hypernetwork", "None", "Add hypernetwork to prompt"),
        _choice("sd_lora", "None", "Add network to prompt"),
        _choice("lora_preferred_name", "Alias from file", "Refer to Lora by", ("Alias from file", "Filename")),
        _bool("lora_add_hashes_to_infotext", True, "Add Lora hashes to infotext"),
        _bool("lora_bundled_ti_to_infotext", True, "Add Lora name as TI hashes for bundled Textual Inversion"),
        _bool("lora_show_all", False, "Always show all networks on the Lora page"),
        _choices("lora_hide_unknown_for_versions", [], "Hide networks of unknown versions for", ("SD1", "SD2", "SDXL")),
        _int("lora_in_memory_limit", 0, "Number of Lora networks to keep cached in memory", 0),
        _bool("lora_not_found_warning_console", False, "Lora not found warning in console"),
        _bool("lora_not_found_gradio_warning", False, "Lora not found warning popup in webui"),
    ),
    ("optimizations", "Optimizations"): (
        _choice("cross_attention_optimization", "Automatic", "Cross attention optimization"),
        _float("s_min_uncond", 0.0, "Negative Guidance minimum sigma", 0, 15, 0.01),
        _bool("s_min_uncond_all", False, "Negative Guidance minimum sigma all steps"),
        _float("token_merging_ratio", 0.0, "Token merging ratio", 0, 0.9, 0.1),
        _float("token_merging_ratio_img2img", 0.0, "Token merging ratio for img2img", 0, 0.9, 0.1),
        _float("token_merging_ratio_hr", 0.0, "Token merging ratio for high-res pass", 0, 0.9, 0.1),
        _bool("pad_cond_uncond", False, "Pad prompt/negative prompt"),
        _bool("pad_cond_uncond_v0", False, "Pad prompt/negative prompt (v0)"),
        _bool("persistent_cond_cache", True, "Persistent cond cache"),
        _bool("batch_cond_uncond", True, "Batch cond/uncond"),
        _int("batch_waiting_requests", 4, "Most pictures of waiting API requests in one batch", 1, 64),
        _float("unfinished_save_seconds", 10.0, "Seconds after which unfinished sampling is saved", 0, 3600, 0.1),
        _choice("fp8_storage", "Disable", "FP8 weight", ("Disable", "Enable for SDXL", "Enable")),
        _choice("quantized_weights", "Packed", "Weights of quantized files in memory", ("Packed", "Unpacked")),
        _bool("cache_fp16_weight", False, "Cache FP16 weight for LoRA"),
    ),
    ("sampler-params", "Sampler parameters"): (
        _choices("hide_samplers", [], "Hide samplers in user interface"),
        _float("eta_ddim", 0.0, "Eta for DDIM", 0, 1, 0.01),
        _float("eta_ancestral", 1.0, "Eta for k-diffusion samplers", 0, 1, 0.01),
        _choice("ddim_discretize", "uniform", "img2img DDIM discretize", ("uniform", "quad")),
        _float("s_churn", 0.0, "sigma churn", 0, 100, 0.01),
        _float("s_tmin", 0.0, "sigma tmin", 0, 10, 0.01),
        _float("s_tmax", 0.0, "sigma tmax", 0, 999, 0.01),
        _float("s_noise", 1.0, "sigma noise", 0, 1.1, 0.001),
        _float("sigma_min", 0.0, "sigma min", 0),
        _float("sigma_max", 0.0, "sigma max", 0),
        _float("rho", 0.0, "rho", 0),
        _int("eta_noise_seed_delta", 0, "Eta noise seed delta", 0, 2**32 - 1),
        _bool("always_discard_next_to_last_sigma", False, "Always discard next-to-last sigma"),
        _bool("sgm_noise_multiplier", False, "SGM noise multiplier"),
        _choice("uni_pc_variant", "bh1", "UniPC variant", ("bh1", "bh2", "vary_coeff")),
        _choice("uni_pc_skip_type", "time_uniform", "UniPC skip type", ("time_uniform", "time_quadratic", "logSNR")),
        _int("uni_pc_order", 3, "UniPC order", 1, 50),
        _bool("uni_pc_lower_order_final", True, "UniPC lower order final"),
        _choice("sd_noise_schedule", "Default", "Noise schedule for sampling", ("Default", "Zero Terminal SNR")),
        _float("skip_early_cond", 0.0, "Ignore negative prompt during early sampling", 0, 1, 0.01),
        _float("beta_dist_alpha", 0.6, "Beta scheduler - alpha", 0.01, 1, 0.01),
        _float("beta_dist_beta", 0.6, "Beta scheduler - beta", 0.01, 1, 0.01),
    ),
    ("sd", "Stable Diffusion"): (
        _choice("sd_model_checkpoint", None, "Stable Diffusion checkpoint"),
        _int("sd_checkpoints_limit", 1, "Maximum number of checkpoints loaded at the same time", 1, 10),
        _bool("sd_checkpoints_keep_in_cpu", True, "Only keep one model on device"),
        _int("sd_checkpoint_cache", 0, "Checkpoints to cache in RAM", 0, 10),
        _choice("sd_unet", "Automatic", "SD Unet"),
        _bool("enable_quantization", False, "Enable quantization in K samplers"),
        _choice("emphasis", "Original", "Emphasis mode", ("None", "Ignore", "Original", "No norm")),
        _bool("enable_batch_seeds", True, "Pictures of a batch equal pictures made one by one"),
        _int("comma_padding_backtrack", 20, "Prompt word wrap length limit", 0, 74),
        _bool("sdxl_clip_l_skip", False, "Clip skip SDXL"),
        _int("CLIP_stop_at_last_layers", 1, "Clip skip", 1, 12),
        _bool("upcast_attn", False, "Upcast cross attention layer to float32"),
        _choice("randn_source", "NV", "Random number generator source", ("GPU", "CPU", "NV")),
        _bool("tiling", False, "Tiling"),
        _choice("hires_fix_refiner_pass", "second pass", "Hires fix: which pass to enable refiner for", PASSES),
        _bool("enable_prompt_comments", True, "Enable comments"),
    ),
    ("sd3", "Stable Diffusion 3"): (_bool("sd3_enable_t5", False, "Enable T5"),),
    ("flux", "Flux"): (_float("distilled_cfg_scale", 3.5, "Distilled CFG scale", 0, 100, 0.1),),
    ("sdxl", "Stable Diffusion XL"): (
        _int("sdxl_crop_top", 0, "crop top coordinate", 0),
        _int("sdxl_crop_left", 0, "crop left coordinate", 0),
        _float("sdxl_refiner_low_aesthetic_score", 2.5, "SDXL low aesthetic score"),
        _float("sdxl_refiner_high_aesthetic_score", 6.0, "SDXL high aesthetic score"),
    ),
    ("vae", "VAE"): (
        _note("sd_vae_explanation", "The VAE turns latents into pictures and pictures into latents."),
        _int("sd_vae_checkpoint_cache", 0, "VAE Checkpoints to cache in RAM", 0, 10),
        _choice("sd_vae", "Automatic", "SD VAE"),
        _bool("sd_vae_overrides_per_model_preferences", True, "Selected VAE overrides per-model preferences"),
        _bool("auto_vae_precision_bfloat16", False, "Automatically convert VAE to bfloat16"),
        _bool("auto_vae_precision", True, "Automatically revert VAE to 32-bit floats"),
        _choice("sd_vae_encode_method", "Full", "VAE type for encode", ("Full", "TAESD")),
        _choice("sd_vae_decode_method", "Full", "VAE type for decode", ("Full", "TAESD")),
    ),
    ("img2img", "img2img"): (
        _float("inpainting_mask_weight", 1.0, "Inpainting conditioning mask strength", 0, 1, 0.01),
        _float("initial_noise_multiplier", 1.0, "Noise multiplier for img2img", 0, 1.5, 0.001),
        _float("img2img_extra_noise", 0.0, "Extra noise multiplier for img2img and hires fix", 0, 1, 0.01),
        _bool("img2img_color_correction", False, "Match img2img colors to the original picture"),
        _bool("img2img_fix_steps", False, "img2img: exactly the number of steps of the slider"),
        _color("img2img_background_color", "#ffffff", "img2img: color behind transparent parts"),
        _int("img2img_editor_height", 720, "Height of the image editor", 80, 1600),
        _color("img2img_sketch_default_brush_color", "#ffffff", "Sketch initial brush color"),
        _color("img2img_inpaint_mask_brush_color", "#ffffff", "Inpaint mask brush color"),
        _color("img2img_inpaint_sketch_default_brush_color", "#ffffff", "Inpaint sketch initial brush color"),
        _bool("return_mask", False, "Inpainting: show the greyscale mask in results"),
        _bool("return_mask_composite", False, "Inpainting: show the masked composite in results"),
        _int("img2img_batch_show_results_limit", 32, "Show the first N batch img2img results in UI", -1, 1000),
        _bool("overlay_inpaint", True, "Overlay original for inpaint"),
    ),
    ("ui_gallery", "Gallery"): (
        _bool("return_grid", True, "Show grid in gallery"),
        _bool("do_not_show_images", False, "Do not show any images in gallery"),
        _bool("js_modal_lightbox", True, "Full page image viewer: enable"),
        _bool("js_modal_lightbox_initially_zoomed", True, "Full page image viewer: begin zoomed in"),
        _bool("js_modal_lightbox_gamepad", False, "Full page image viewer: navigate with gamepad"),
        _int("js_modal_lightbox_gamepad_repeat", 250, "Full page image viewer: gamepad repeat period", 0),
        _float("sd_webui_modal_lightbox_icon_opacity", 1.0, "Full page image viewer: icon opacity", 0, 1, 0.01),
        _float("sd_webui_modal_lightbox_toolbar_opacity", 0.9, "Full page image viewer: tool bar opacity", 0, 1, 0.01),
        _text("gallery_height", "", "Gallery height"),
        _choice("open_dir_button_choice", "Subdirectory", "What directory the folder button opens", FOLDERS),
    ),
    ("infotext", "Infotext"): (
        _note("infotext_explanation", "Infotext is the line of generation parameters under a picture."),
        _bool("enable_pnginfo", True, "Write infotext to metadata of the generated image"),
        _bool("save_txt", False, "Create a text file with infotext next to every image"),
        _bool("add_model_name_to_info", True, "Add model name to infotext"),
        _bool("add_model_hash_to_info", True, "Add model hash to infotext"),
        _bool("add_vae_name_to_info", True, "Add VAE name to infotext"),
        _bool("add_vae_hash_to_info", True, "Add VAE hash to infotext"),
        _bool("add_user_name_to_info", False, "Add user name to infotext when authenticated"),
        _bool("add_version_to_infotext", True, "Add program version to infotext"),
        _bool("disable_weights_auto_swap", True, "Disregard checkpoint information from pasted infotext"),
        _choices("infotext_skip_pasting", [], "Disregard fields from pasted infotext"),
        _choice("infotext_styles", "Apply if any", "Infer styles from prompts of pasted infotext", STYLE_ACTIONS),
    ),
    ("ui_live_previews", "Live previews"): (
        _bool("show_progressbar", True, "Show progressbar"),
        _bool("live_previews_enable", True, "Show live previews of the created image"),
        _choice("live_previews_image_format", "png", "Live preview file format", ("jpeg", "png", "webp")),
        _bool("show_progress_grid", True, "Show previews of all images generated in a batch as a grid"),
        _int("show_progress_every_n_steps", 10, "Live preview display period", -1, 32),
        _choice("show_progress_type", "Approx cheap", "Live preview method", PREVIEWS),
        _bool("live_preview_allow_lowvram_full", False, "Allow Full live preview method with lowvram/medvram"),
        _choice("live_preview_content", "Prompt", "Live preview subject", ("Combined", "Prompt", "Negative prompt")),
        _int("live_preview_refresh_period", 1000, "Progressbar and preview update period", 50, 3_600_000),
        _bool("live_preview_fast_interrupt", False, "Return image with chosen live preview method on interrupt"),
        _bool("js_live_preview_in_modal_lightbox", False, "Show Live preview in full page image viewer"),
        _bool("prevent_screen_sleep_during_generation", True, "Prevent screen sleep during generation"),
    ),
    ("ui_prompt_editing", "Prompt editing"): (
        _float("keyedit_precision_attention", 0.1, "Step of Ctrl+up/down for (attention:1.1)", 0.01, 0.2, 0.001),
        _float("keyedit_precision_extra", 0.05, "Step of Ctrl+up/down for <networks:0.9>", 0.01, 0.2, 0.001),
        _text("keyedit_delimiters", ".,\\/!?%^*;:{}=`~() ", "Word delimiters of Ctrl+up/down"),
        _choices("keyedit_delimiters_whitespace", list(SPACES), "Whitespace delimiters of Ctrl+up/down", SPACES),
        _bool("keyedit_move", True, "Alt+left/right moves prompt elements"),
        _bool("disable_token_counters", False, "Disable prompt token counters"),
        _bool("include_styles_into_token_counters", True, "Count tokens of enabled styles"),
    ),
    ("settings_in_ui", "Settings in UI"): (
        _note("settings_in_ui", "Settings that are shown on the txt2img and img2img tabs too."),
        _choices("extra_options_txt2img", [], "Settings for txt2img"),
        _choices("extra_options_img2img", [], "Settings for img2img"),
        _int("extra_options_cols", 1, "Number of columns for added settings", 1, 20),
        _bool("extra_options_accordion", False, "Place added settings into an accordion"),
    ),
    ("ui_alternatives", "UI alternatives"): (
        _bool("compact_prompt_box", False, "Compact prompt layout"),
        _bool("samplers_in_dropdown", True, "Use dropdown for sampler selection instead of radio group"),
        _bool("dimensions_and_batch_together", True, "Show Width/Height and Batch sliders in same row"),
        _bool("sd_checkpoint_dropdown_use_short", False, "Checkpoint dropdown: use filenames without paths"),
        _bool("hires_fix_show_sampler", False, "Hires fix: show hires checkpoint and sampler selection"),
        _bool("hires_fix_show_prompts", False, "Hires fix: show hires prompt and negative prompt"),
        _bool("txt2img_settings_accordion", False, "Settings in txt2img hidden under Accordion"),
        _bool("img2img_settings_accordion", False, "Settings in img2img hidden under Accordion"),
        _bool("interrupt_after_current", True, "Don't Interrupt in the middle"),
    ),
    ("ui", "User interface"): (
        _choice("localization", "None", "Localization"),
        _choices("quicksettings_list", ["sd_model_checkpoint"], "Quicksettings list"),
        _choices("ui_tab_order", [], "UI tab order"),
        _choices("hidden_tabs", [], "Hidden UI tabs"),
        _choices("ui_reorder_list", [], "UI item order for txt2img/img2img tabs"),
        _choice("gradio_theme", "Default", "Gradio theme", THEMES),
        _bool("gradio_themes_cache", True, "Cache gradio themes locally"),
        _bool("show_progress_in_title", True, "Show generation progress in window title"),
        _bool("send_seed", True, "Send seed along with prompt or image"),
        _bool("send_size", True, "Send size along with prompt or image"),
        _bool("enable_reloading_ui_scripts", False, "Reload UI scripts when using Reload UI option"),
    ),
    ("API", "API"): (
        _bool("api_enable_requests", False, "Allow http:// and https:// URLs for input images in API"),
        _bool("api_forbid_local_requests", True, "Forbid URLs to local resources"),
        _text("api_useragent", "", "User agent for requests"),
    ),
    ("profiler", "Profiler"): (
        _note("profiling_explanation", "Record where time and memory go while pictures are made."),
        _bool("profiling_enable", False, "Enable profiling"),
        _choices("profiling_activities", ["CPU"], "Activities", ("CPU", "CUDA")),
        _bool("profiling_record_shapes", True, "Record shapes"),
        _bool("profiling_profile_memory", True, "Profile memory"),
        _bool("profiling_with_stack", True, "Include python stack"),
        _text("profiling_filename", "trace.json", "Profile filename"),
    ),
    ("system", "System"): (
        _choice("auto_launch_browser", "Local", "Open the browser at start", ("Disable", "Local", "Remote")),
        _bool("enable_console_prompts", False, "Print prompts to console"),
        _bool("show_warnings", False, "Show warnings in console"),
        _bool("show_gradio_deprecation_warnings", True, "Show gradio deprecation warnings in console"),
        _int("memmon_poll_rate", 8, "VRAM usage polls per second", 0, 40),
        _bool("samples_log_stdout", False, "Print generation info to standard output"),
        _bool("multiple_tqdm", True, "Console progress bar for the entire job"),
        _bool("enable_upscale_progressbar", True, "Console progress bar for tiled upscaling"),
        _bool("print_hypernet_extra", False, "Print extra hypernetwork information"),
        _bool("list_hidden_files", True, "Load models/files in hidden directories"),
        _bool("disable_mmap_load_safetensors", False, "Do not map .safetensors files into memory"),
        _bool("hide_ldm_prints", True, "Keep ldm/sgm modules quiet"),
        _bool("dump_stacks_on_signal", False, "Print stack traces on ctrl+c"),
    ),
    ("face-restoration", "Face restoration"): (
        _bool("face_restoration", False, "Restore faces"),
        _choice("face_restoration_model", "CodeFormer", "Face restoration model", ("CodeFormer", "GFPGAN")),
        _float("code_former_weight", 0.5, "CodeFormer weight", 0, 1, 0.01),
        _bool("face_restoration_unload", False, "Move face restoration model to RAM afterwards"),
    ),
    ("postprocessing", "Postprocessing"): (
        _choices("postprocessing_enable_in_main_ui", [], "Postprocessing operations in txt2img and img2img tabs"),
        _choices("postprocessing_disable_in_extras", [], "Postprocessing operations not in extras tab"),
        _choices("postprocessing_operation_order", [], "Postprocessing operation order"),
        _int("upscaling_max_images_in_cache", 5, "Maximum number of images in upscaling cache", 0, 10),
        _choice("postprocessing_existing_caption_action", "Ignore", "Action for existing captions", CAPTION_ACTIONS),
    ),
    ("upscaling", "Upscaling"): (
        _int("ESRGAN_tile", 192, "Tile size for ESRGAN upscalers.", 0, 512, 16),
        _int("ESRGAN_tile_overlap", 8, "Tile overlap for ESRGAN upscalers.", 0, 48),
        _choices("realesrgan_enabled_models", ["R-ESRGAN 4x+", "R-ESRGAN 4x+ Anime6B"], "Real-ESRGAN models to show"),
        _choices("dat_enabled_models", ["DAT x2", "DAT x3", "DAT x4"], "DAT models to show"),
        _int("DAT_tile", 192, "Tile size for DAT upscalers.", 0, 512, 16),
        _int("DAT_tile_overlap", 8, "Tile overlap for DAT upscalers.", 0, 48),
        _choice("upscaler_for_img2img", None, "Upscaler for img2img"),
        _bool("set_scale_by_when_changing_upscaler", False, "Take scale from the upscaler's name"),
        _int("ldsr_steps", 100, "LDSR processing steps", 1, 200),
        _bool("ldsr_cached", False, "Cache LDSR model in memory"),
        _int("SCUNET_tile", 256, "Tile size for SCUNET upscalers.", 0, 512, 16),
        _int("SCUNET_tile_overlap", 8, "Tile overlap for SCUNET upscalers.", 0, 64),
        _int("SWIN_tile", 192, "Tile size for all SwinIR", 16, 512, 16),
        _int("SWIN_tile_overlap", 8, "Tile overlap for SwinIR", 0, 48),
        _bool("SWIN_torch_compile", False, "Compile SwinIR"),
    ),
    ("training", "Training"): (
        _bool("unload_models_when_training", False, "Move VAE and CLIP to RAM when training"),
        _bool("pin_memory", False, "Pin memory of the training data loader"),
        _bool("save_optimizer_state", False, "Save the optimizer state in *.optim files"),
        _bool("save_training_settings_to_txt", True, "Save training settings to a text file"),
        _text("dataset_filename_word_regex", "", "Filename word regex"),
        _text("dataset_filename_join_string", " ", "Filename join string"),
        _int("training_image_repeats_per_epoch", 1, "Repeats of an input image per epoch", 0),
        _int("training_write_csv_every", 500, "Write the loss to csv every N steps, 0 for never", 0),
        _bool("training_xattention_optimizations", False, "Cross attention optimizations in training"),
        _bool("training_enable_tensorboard", False, "Enable tensorboard logging"),
        _bool("training_tensorboard_save_images", False, "Save images within tensorboard"),
        _int("training_tensorboard_flush_every", 120, "Seconds between tensorboard writes", 0),
    ),
    ("canvas_hotkey", "Canvas Hotkeys"): (
        _choice("canvas_hotkey_zoom", "Alt", "Zoom canvas", ("Shift", "Ctrl", "Alt")),
        _choice("canvas_hotkey_adjust", "Ctrl", "Adjust brush size", ("Shift", "Ctrl", "Alt")),
        _text("canvas_hotkey_shrink_brush", "Q", "Shrink the brush size"),
        _text("canvas_hotkey_grow_brush", "W", "Enlarge the brush size"),
        _text("canvas_hotkey_move", "F", "Moving the canvas"),
        _text("canvas_hotkey_fullscreen", "S", "Fullscreen mode"),
        _text("canvas_hotkey_reset", "R", "Reset zoom and canvas position"),
        _text("canvas_hotkey_overlap", "O", "Toggle overlap"),
        _bool("canvas_show_tooltip", True, "Enable tooltip on the canvas"),
        _bool("canvas_auto_expand", True, "Expand pictures wider than the canvas"),
        _bool("canvas_blur_prompt", False, "Canvas takes the focus off the prompt"),
        _choices("canvas_disabled_functions", ["Overlap"], "Disabled functions", CANVAS_FUNCTIONS),
    ),
    ("hypertile", "Hypertile"): (
        _note("hypertile_explanation", "Attention in tiles: faster for large pictures."),
        _bool("hypertile_enable_unet", False, "Enable Hypertile U-Net"),
        _bool("hypertile_enable_unet_secondpass", False, "Enable Hypertile U-Net for hires fix second pass"),
        _int("hypertile_max_depth_unet", 3, "Hypertile U-Net max depth", 0, 3),
        _int("hypertile_max_tile_unet", 256, "Hypertile U-Net max tile size", 0, 512, 16),
        _int("hypertile_swap_size_unet", 3, "Hypertile U-Net swap size", 0, 64),
        _bool("hypertile_enable_vae", False, "Enable Hypertile VAE"),
        _int("hypertile_max_depth_vae", 3, "Hypertile VAE max depth", 0, 3),
        _int("hypertile_max_tile_vae", 128, "Hypertile VAE max tile size", 0, 512, 16),
        _int("hypertile_swap_size_vae", 3, "Hypertile VAE swap size", 0, 64),
    ),
    ("interrogate", "Interrogate"): (
        _bool("interrogate_keep_models_in_memory", False, "Keep models in VRAM"),
        _bool("interrogate_return_ranks", False, "Include ranks of matches in results"),
        _int("interrogate_clip_num_beams", 1, "BLIP: num_beams", 1, 16),
        _int("interrogate_clip_min_length", 24, "BLIP: minimum description length", 1, 128),
        _int("interrogate_clip_max_length", 48, "BLIP: maximum description length", 1, 256),
        _int("interrogate_clip_dict_limit", 1500, "CLIP: maximum number of lines in text file", 0),
        _choices("interrogate_clip_skip_categories", [], "CLIP: skip inquire categories"),
        _float("interrogate_deepbooru_score_threshold", 0.5, "deepbooru: score threshold", 0, 1, 0.01),
        _bool("deepbooru_sort_alpha", True, "deepbooru: sort tags alphabetically"),
        _bool("deepbooru_use_spaces", True, "deepbooru: use spaces in tags"),
        _bool("deepbooru_escape", True, "deepbooru: escape (\\) brackets"),
        _text("deepbooru_filter_tags", "", "deepbooru: filter out those tags"),
    ),
    ("", "Hidden"): (
        _choices("disabled_extensions", [], "Disable these extensions"),
        _choice("disable_all_extensions", "none", "Disable all extensions", ("none", "extra", "all")),
        _text("restore_config_state_file", "", "Config state file to restore from"),
        _text("sd_checkpoint_hash", "", "SHA256 hash of the current checkpoint"),
    ),
}
