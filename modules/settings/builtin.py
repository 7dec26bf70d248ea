"""A1111's whole table of settings as a registry: what Easel honours today, help texts, infotext labels.

Called once by the composition root. Options that do not work yet are kept, returned and may be set, so that A1111's
settings files and clients lose nothing; the Settings page shows only those that work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from modules.settings.options import Option, Registry
from modules.settings.table import SECTIONS

_WORKS = """
samples_save samples_format samples_filename_pattern save_images_add_number save_images_replace_action
grid_save grid_format grid_extended_filename grid_only_if_multiple grid_prevent_empty_spots n_rows
grid_background_color enable_pnginfo save_txt jpeg_quality webp_lossless export_for_4chan img_downscale_threshold
target_side_length save_incomplete_images
outdir_samples outdir_txt2img_samples outdir_grids outdir_txt2img_grids
outdir_img2img_samples outdir_img2img_grids outdir_init_images save_init_img save_mask save_mask_composite
save_images_before_color_correction return_mask return_mask_composite overlay_inpaint
inpainting_mask_weight initial_noise_multiplier img2img_extra_noise img2img_color_correction img2img_fix_steps
img2img_background_color upscaler_for_img2img tiling sd_vae_encode_method
save_to_dirs grid_save_to_dirs directories_filename_pattern directories_max_prompt_words
save_images_before_highres_fix use_old_hires_fix_width_height hires_fix_use_firstpass_conds
sd_model_checkpoint sd_checkpoint_cache fp8_storage quantized_weights
sd_vae sd_vae_decode_method sd_vae_overrides_per_model_preferences sd_vae_checkpoint_cache
auto_vae_precision auto_vae_precision_bfloat16 add_vae_name_to_info add_vae_hash_to_info
emphasis comma_padding_backtrack sd3_enable_t5 distilled_cfg_scale batch_waiting_requests unfinished_save_seconds
CLIP_stop_at_last_layers randn_source enable_prompt_comments use_old_emphasis_implementation use_old_scheduling
eta_ancestral eta_ddim eta_noise_seed_delta s_churn s_tmin s_tmax s_noise sigma_min sigma_max rho
uni_pc_variant uni_pc_skip_type uni_pc_order uni_pc_lower_order_final beta_dist_alpha beta_dist_beta
sd_noise_schedule use_downcasted_alpha_bar no_dpmpp_sde_batch_determinism
always_discard_next_to_last_sigma sgm_noise_multiplier use_old_karras_scheduler_sigmas skip_early_cond hide_samplers
s_min_uncond persistent_cond_cache batch_cond_uncond pad_cond_uncond pad_cond_uncond_v0 s_min_uncond_all
enable_quantization upcast_attn sdxl_clip_l_skip sdxl_crop_top sdxl_crop_left sdxl_refiner_low_aesthetic_score
sdxl_refiner_high_aesthetic_score hires_fix_refiner_pass refiner_switch_by_sample_steps
sd_lora sd_hypernetwork extra_networks_default_multiplier
lora_functional lora_biases_beside backtrack_moves_embeddings lora_in_memory_limit lora_not_found_warning_console
lora_preferred_name lora_show_all lora_hide_unknown_for_versions
lora_add_hashes_to_infotext lora_bundled_ti_to_infotext textual_inversion_add_hashes_to_infotext
add_model_name_to_info add_model_hash_to_info add_version_to_infotext add_user_name_to_info infotext_skip_pasting
infotext_styles auto_backcompat disable_weights_auto_swap
live_previews_enable live_previews_image_format show_progress_every_n_steps show_progress_type
live_preview_content live_preview_refresh_period show_progress_grid live_preview_allow_lowvram_full
live_preview_fast_interrupt samples_log_stdout list_hidden_files
ESRGAN_tile ESRGAN_tile_overlap DAT_tile DAT_tile_overlap SWIN_tile SWIN_tile_overlap SCUNET_tile SCUNET_tile_overlap
face_restoration face_restoration_model code_former_weight face_restoration_unload save_images_before_face_restoration
outdir_extras_samples use_original_name_batch use_upscaler_name_as_suffix postprocessing_disable_in_extras
postprocessing_operation_order postprocessing_existing_caption_action
token_merging_ratio token_merging_ratio_img2img token_merging_ratio_hr
hypertile_enable_unet hypertile_enable_unet_secondpass hypertile_max_depth_unet hypertile_max_tile_unet
hypertile_swap_size_unet hypertile_enable_vae hypertile_max_depth_vae hypertile_max_tile_vae hypertile_swap_size_vae
font grid_text_active_color grid_text_inactive_color img_max_size_mp
outdir_save img2img_batch_show_results_limit
return_grid do_not_show_images show_progress_in_title send_seed send_size quicksettings_list gradio_theme
localization hidden_tabs ui_tab_order
keyedit_precision_attention keyedit_precision_extra keyedit_delimiters keyedit_delimiters_whitespace keyedit_move
disable_token_counters include_styles_into_token_counters
extra_networks_show_hidden_directories extra_networks_hidden_models extra_networks_card_width
extra_networks_card_height extra_networks_card_text_scale extra_networks_card_show_desc
extra_networks_card_order_field extra_networks_card_order extra_networks_tree_view_default_enabled
extra_networks_add_text_separator
api_enable_requests api_forbid_local_requests api_useragent
interrogate_keep_models_in_memory interrogate_return_ranks interrogate_clip_num_beams interrogate_clip_min_length
interrogate_clip_max_length interrogate_clip_dict_limit interrogate_clip_skip_categories
interrogate_deepbooru_score_threshold deepbooru_sort_alpha deepbooru_use_spaces deepbooru_escape deepbooru_filter_tags
"""
WORKS = frozenset(_WORKS.split())
OWN = frozenset(
    {
        "backtrack_moves_embeddings",
        "batch_waiting_requests",
        "distilled_cfg_scale",
        "lora_biases_beside",
        "quantized_weights",
        "unfinished_save_seconds",
    }
)
"""Options that A1111 does not have."""

INFOTEXT = {
    "sd_model_checkpoint": "Model hash",
    "sd_vae": "VAE",
    "sd_vae_encode_method": "VAE Encoder",
    "sd_vae_decode_method": "VAE Decoder",
    "emphasis": "Emphasis",
    "CLIP_stop_at_last_layers": "Clip skip",
    "randn_source": "RNG",
    "tiling": "Tiling",
    "hires_fix_refiner_pass": "Hires refiner",
    "fp8_storage": "FP8 weight",
    "cache_fp16_weight": "Cache FP16 weight for LoRA",
    "distilled_cfg_scale": "Distilled CFG Scale",
    "s_min_uncond": "NGMS",
    "s_min_uncond_all": "NGMS all steps",
    "token_merging_ratio": "Token merging ratio",
    "token_merging_ratio_hr": "Token merging ratio hr",
    "pad_cond_uncond": "Pad conds",
    "pad_cond_uncond_v0": "Pad conds v0",
    "use_old_scheduling": "Old prompt editing timelines",
    "use_downcasted_alpha_bar": "Downcast alphas_cumprod",
    "refiner_switch_by_sample_steps": "Refiner switch by sampling steps",
    "eta_ddim": "Eta DDIM",
    "eta_ancestral": "Eta",
    "eta_noise_seed_delta": "ENSD",
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
    "sigma_min": "Schedule min sigma",
    "sigma_max": "Schedule max sigma",
    "rho": "Schedule rho",
    "always_discard_next_to_last_sigma": "Discard penultimate sigma",
    "sgm_noise_multiplier": "SGM noise multiplier",
    "uni_pc_variant": "UniPC variant",
    "uni_pc_skip_type": "UniPC skip type",
    "uni_pc_order": "UniPC order",
    "uni_pc_lower_order_final": "UniPC lower order final",
    "sd_noise_schedule": "Noise Schedule",
    "skip_early_cond": "Skip Early CFG",
    "beta_dist_alpha": "Beta scheduler alpha",
    "beta_dist_beta": "Beta scheduler beta",
    "inpainting_mask_weight": "Conditional mask weight",
    "initial_noise_multiplier": "Noise multiplier",
    "img2img_extra_noise": "Extra noise",
    "face_restoration_model": "Face restoration",
    "hypertile_enable_unet": "Hypertile U-Net",
    "hypertile_enable_unet_secondpass": "Hypertile U-Net second pass",
    "hypertile_max_depth_unet": "Hypertile U-Net max depth",
    "hypertile_max_tile_unet": "Hypertile U-Net max tile size",
    "hypertile_swap_size_unet": "Hypertile U-Net swap size",
    "hypertile_enable_vae": "Hypertile VAE",
    "hypertile_max_depth_vae": "Hypertile VAE max depth",
    "hypertile_max_tile_vae": "Hypertile VAE max tile size",
    "hypertile_swap_size_vae": "Hypertile VAE swap size",
}

FIELD_LABELS = (
    "Prompt",
    "Negative prompt",
    "Steps",
    "Sampler",
    "Schedule type",
    "CFG scale",
    "Seed",
    "Size-1",
    "Size-2",
    "Batch size",
    "Variation seed",
    "Variation seed strength",
    "Seed resize from-1",
    "Seed resize from-2",
)

STEPS = (
    "Upscale",
    "GFPGAN",
    "CodeFormer",
    "Split oversized images",
    "Auto focal point crop",
    "Auto-sized crop",
    "Create flipped copies",
    "Caption",
)
"""Postprocessing steps as menus offer them; extensions have others."""

HELP = {
    "face_restoration_model": "Either needs files on the disk; who asks for faces without them is told which.",
    "code_former_weight": "0 is the most effect, 1 the least.",
    "ESRGAN_tile": "In pixels of the picture before; 0 takes the whole picture at once.",
    "ESRGAN_tile_overlap": "Tiles are blended over so many pixels; 0 shows seams.",
    "use_original_name_batch": "A picture that came from a file keeps its name; off: a running number.",
    "postprocessing_disable_in_extras": "Those named here are left out.",
    "postprocessing_operation_order": "Those named here come first, in this order.",
    "postprocessing_existing_caption_action": "What becomes of a text file that lies beside the picture already.",
    "sd_lora": "The name of a LoRA file that every prompt gets which does not name it.",
    "sd_hypernetwork": "The name of a hypernetwork file that every prompt gets which does not name it.",
    "extra_networks_default_multiplier": "The strength of those two.",
    "token_merging_ratio": "The share of tokens that are merged in self-attention: faster for large pictures, and they"
    " change. 0 is off.",
    "token_merging_ratio_img2img": "The same for img2img; 0 takes that above.",
    "token_merging_ratio_hr": "The same for the second pass of hires fix; 0 takes that above.",
    "lora_biases_beside": "A1111 reads a bias (diff_b) only beside a full difference and leaves it out beside a LoRA"
    " or any other kind; on Stable Diffusion 1, 2 and XL its pictures need that.",
    "backtrack_moves_embeddings": "A phrase that moves to the next 75 tokens at its comma takes its words of textual"
    " inversion with it. A1111 leaves their vectors behind and reads '!' instead; its pictures need that.",
    "lora_functional": "LoRAs are added while each layer computes, not merged into its weights: slower. Weights in"
    " 8 bits, and packed ones, are always treated so.",
    "quantized_weights": "GGUF, bitsandbytes, torchao, scaled float8: packed, they take the file's size in memory, and"
    " each layer unpacks its own when it runs; unpacked once they are faster and take two to seven times the memory.",
    "lora_in_memory_limit": "Files kept in memory beside those in use, so that going back to them is quick.",
    "lora_not_found_warning_console": "What is left out of a prompt is told beside the picture in any case.",
    "lora_bundled_ti_to_infotext": "For textual inversions inside a LoRA file, the LoRA's name.",
    "outdir_samples": "A path, absolute or inside the data folder; one folder for everything instead of one a tab.",
    "outdir_grids": "A path, absolute or inside the data folder.",
    "samples_format": "PNG keeps every pixel; the others are smaller.",
    "samples_filename_pattern": "Text with names in brackets, such as [seed]-[prompt_spaces]; empty: [seed], with the"
    " prompt behind it when pictures are not put into sub-folders.",
    "save_images_add_number": "A running number in front: 00012-1234.png.",
    "save_images_replace_action": "Only without running numbers: what happens when the name is taken.",
    "grid_only_if_multiple": "A grid of one picture is the picture.",
    "grid_prevent_empty_spots": "Choose the rows so that the grid is full.",
    "enable_pnginfo": "So that the picture can be made again from its file.",
    "jpeg_quality": "1 is small and coarse, 100 large and fine.",
    "export_for_4chan": "Beside a picture that is over one of the two limits below.",
    "img_downscale_threshold": "In megabytes.",
    "target_side_length": "In pixels; the copy is made smaller to fit.",
    "save_incomplete_images": "Keep the file of a picture that was interrupted.",
    "directories_filename_pattern": "As in file names; [date] makes a folder a day.",
    "sd_checkpoint_cache": "Models kept in memory beside the one in use, so that going back to them is quick.",
    "sd_vae": "Automatic: the file that bears the checkpoint's name; None: the one inside the checkpoint.",
    "sd_vae_overrides_per_model_preferences": 'A checkpoint\'s own preference is its same-named VAE, or "vae" in its'
    " .json; off: it wins over the choice above.",
    "auto_vae_precision": "Where its numbers overflow in half precision; off: such a picture is an error.",
    "auto_vae_precision_bfloat16": "The same, to another 16-bit format: less memory than 32 bits, less exact.",
    "sd_vae_checkpoint_cache": "VAE files kept in memory beside the one in use.",
    "emphasis": 'How "(word:1.3)" acts. Original: weighted, then brought back to the mean from before; No norm: only'
    " weighted; Ignore: brackets are read and do nothing; None: brackets are text.",
    "comma_padding_backtrack": "Tokens: a comma this near before the end of a chunk of 75 becomes the place to break.",
    "CLIP_stop_at_last_layers": "1 uses the whole text encoder; 2 leaves out its last layer, and so on.",
    "persistent_cond_cache": "What prompts mean to the model is kept for later pictures that share them.",
    "upcast_attn": "Only in half precision: against black pictures of some models; slower.",
    "randn_source": "NV: the numbers of an NVIDIA card, the same on every machine. GPU: those of the device in use."
    " CPU: torch's own, the same on every machine.",
    "enable_prompt_comments": "Text from # to the end of the line is not part of the prompt.",
    "eta_ancestral": "How much noise ancestral samplers add: 0 none, 1 all.",
    "eta_noise_seed_delta": "Added to the seed of that noise (ENSD).",
    "s_churn": "Noise added on the way, for Euler and its kin; 0 is off.",
    "s_tmin": "Churn acts at noise levels from here up.",
    "s_tmax": "Churn acts at noise levels up to here; 0 is no limit.",
    "s_noise": "Strength of the noise that churn adds.",
    "sigma_min": "Lowest noise level of a schedule; 0 is the model's own.",
    "sigma_max": "Highest noise level of a schedule; 0 is the model's own.",
    "rho": "Bend of the Karras schedule; 0 is its own value (7).",
    "sgm_noise_multiplier": "Scale the first noise as the SDXL reference implementation does.",
    "use_old_karras_scheduler_sigmas": "For pictures made with very old versions.",
    "s_min_uncond": "Below this noise level the negative prompt is left out on every second step: faster. 0 is off.",
    "skip_early_cond": "The part of all steps, from the first, that leaves the negative prompt out: faster.",
    "batch_cond_uncond": "Prompt and negative prompt in one pass of the model: faster, more memory.",
    "batch_waiting_requests": "Requests over the API that differ in prompts and seeds alone share each pass of the"
    " model, in 32 bits; 1 is off.",
    "unfinished_save_seconds": "A job whose program was ended goes on from there at the next start, instead of at its"
    " first step; 0 saves nothing.",
    "pad_cond_uncond": "Make the shorter of prompt and negative prompt as long as the other, so that one pass does.",
    "pad_cond_uncond_v0": "Make the negative prompt as long as the prompt by repeating or cutting it, as DDIM did.",
    "use_old_emphasis_implementation": "75 tokens at most; brackets weigh, numbers are text. For very old pictures.",
    "use_old_hires_fix_width_height": "Width and height are the size of the finished picture; the first pass has about"
    " 512x512 pixels (before 1.0).",
    "hires_fix_use_firstpass_conds": "Prompts of the second pass are read with the LoRAs of the first.",
    "save_images_before_highres_fix": "The small picture of the first pass is saved too, its name ending with"
    " -before-highres-fix.",
    "use_old_scheduling": "In [a:b:n], below 1 is a fraction and all else a step, also in hires passes (before 1.6).",
    "infotext_styles": "Styles whose text is in the prompts are taken out of them; Apply chooses them in the menu.",
    "infotext_skip_pasting": "Labels of generation parameters that stay as they are on the page.",
    "show_progress_every_n_steps": "In steps; -1 shows a preview only at the end of a batch.",
    "live_preview_allow_lowvram_full": "Full moves the VAE to the device and back for every preview.",
    "show_progress_type": "Full decodes as for the final picture; Approx cheap takes next to no time; Approx NN needs"
    " A1111's file in models/VAE-approx, TAESD one in models/VAE-taesd: without it they are Approx cheap.",
    "live_preview_fast_interrupt": "Interrupted: no final decoding, the picture is as coarse as a preview.",
    "samples_log_stdout": "After each job, what the API calls info is written to the console.",
    "list_hidden_files": "Folders whose names begin with a dot; takes effect when lists are read again.",
    "live_preview_content": "What the preview shows of the model's answers.",
    "live_preview_refresh_period": "In milliseconds.",
    "quicksettings_list": "Settings shown at the top of the page; takes effect when the page is opened again.",
    "gradio_theme": "Takes effect at the next start.",
    "hide_samplers": "Those named here are left out of the menus.",
    "api_enable_requests": "Whoever reaches this server makes it ask other machines then; so it is off. Where others"
    " reach it, only config.json or this machine can switch it on.",
    "api_forbid_local_requests": "Addresses of this machine and of private networks are refused.",
    "api_useragent": "The name given to the other server; empty: none.",
    "interrogate_keep_models_in_memory": "Models that describe pictures stay loaded: the next one is described sooner.",
    "interrogate_return_ranks": "How well each phrase fits is written behind it.",
    "interrogate_clip_num_beams": "More is slower, and often better.",
    "interrogate_clip_min_length": "In tokens.",
    "interrogate_clip_max_length": "In tokens.",
    "interrogate_clip_dict_limit": "Of each list in the folder interrogate; 0 is no limit.",
    "interrogate_clip_skip_categories": "Lists that are left out, by file name without .txt.",
    "interrogate_deepbooru_score_threshold": "Tags that are less certain are left out.",
    "deepbooru_filter_tags": "Tags that are never given, with commas between them.",
}

OPEN = frozenset(
    (
        "gradio_theme",
        "hide_samplers",
        "infotext_skip_pasting",
        "interrogate_clip_skip_categories",
        "postprocessing_disable_in_extras",
        "postprocessing_operation_order",
        "quicksettings_list",
        "sd_hypernetwork",
        "sd_lora",
        "upscaler_for_img2img",
    )
)


def registry(*, samplers: Sequence[str] = (), schedulers: Sequence[str] = ()) -> Registry:
    """All of A1111's options. hide_samplers offers `samplers` and accepts the names of `schedulers` too."""
    choices = {
        "sd_lora": ("None",),
        "sd_hypernetwork": ("None",),
        "hide_samplers": tuple(samplers),
        "upscaler_for_img2img": ("None", "Lanczos", "Nearest"),
        "postprocessing_disable_in_extras": STEPS,
        "postprocessing_operation_order": STEPS,
        "infotext_skip_pasting": (*FIELD_LABELS, *(label for key, label in INFOTEXT.items() if key in WORKS)),
        "quicksettings_list": tuple(row["key"] for rows in SECTIONS.values() for row in rows if row["key"] in WORKS),
    }
    also = {"hide_samplers": tuple(schedulers)}
    built = Registry()
    for (section, title), rows in SECTIONS.items():
        for row in rows:
            option = _option(Option(**row, section=section), choices.get(row["key"]), also.get(row["key"], ()))
            built.add(option, title=title)
    return built


def _option(row: Option, choices: tuple[str, ...] | None, also: tuple[str, ...]) -> Option:
    """The table's row with what the other tables of this module know of it."""
    return dataclasses.replace(
        row,
        choices=choices or row.choices,
        help=HELP.get(row.key, ""),
        works=row.key in WORKS,
        infotext=INFOTEXT.get(row.key, ""),
        also=also,
        open=row.key in OPEN,
    )
