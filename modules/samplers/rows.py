"""What Easel ships: every sampler and scheduler as a row, in A1111's order, then those from today's field."""

from __future__ import annotations

from modules.samplers.catalog import Sampler, Scheduler

CHURN = ("s_churn", "s_tmin", "s_tmax", "s_noise")
NOISY = ("eta", "s_noise")
CFGPP_SHARE = 1 / 12.5
"""CFG++ has scales of 0..1; A1111 maps the usual 0..12.5 to them."""

SAMPLERS = (
    Sampler(
        name="DPM++ 2M",
        aliases=("k_dpmpp_2m",),
        function="modules.samplers.dpmpp:dpmpp_2m",
        options={"scheduler": "karras"},
    ),
    Sampler(
        name="DPM++ SDE",
        aliases=("k_dpmpp_sde",),
        function="modules.samplers.dpmpp:dpmpp_sde",
        parameters=NOISY,
        options={"scheduler": "karras", "second_order": "True", "brownian_noise": "True"},
    ),
    Sampler(
        name="DPM++ 2M SDE",
        aliases=("k_dpmpp_2m_sde",),
        function="modules.samplers.dpmpp:dpmpp_2m_sde",
        parameters=NOISY,
        options={"scheduler": "exponential", "brownian_noise": "True"},
    ),
    Sampler(
        name="DPM++ 2M SDE Heun",
        aliases=("k_dpmpp_2m_sde_heun",),
        function="modules.samplers.dpmpp:dpmpp_2m_sde_heun",
        parameters=NOISY,
        options={"scheduler": "exponential", "brownian_noise": "True", "solver_type": "heun"},
    ),
    Sampler(
        name="DPM++ 2S a",
        aliases=("k_dpmpp_2s_a",),
        function="modules.samplers.dpmpp:dpmpp_2s_ancestral",
        parameters=NOISY,
        options={"scheduler": "karras", "uses_ensd": "True", "second_order": "True"},
    ),
    Sampler(
        name="DPM++ 3M SDE",
        aliases=("k_dpmpp_3m_sde",),
        function="modules.samplers.dpmpp:dpmpp_3m_sde",
        parameters=NOISY,
        options={"scheduler": "exponential", "discard_next_to_last_sigma": "True", "brownian_noise": "True"},
    ),
    Sampler(
        name="Euler a",
        aliases=("k_euler_a", "k_euler_ancestral"),
        function="modules.samplers.euler:euler_ancestral",
        parameters=("eta",),  # A1111 keeps s_noise from it
        options={"uses_ensd": "True"},
    ),
    Sampler(name="Euler", aliases=("k_euler",), function="modules.samplers.euler:euler", parameters=CHURN),
    Sampler(name="LMS", aliases=("k_lms",), function="modules.samplers.lms:lms"),
    Sampler(
        name="Heun",
        aliases=("k_heun",),
        function="modules.samplers.heun:heun",
        parameters=CHURN,
        options={"second_order": "True"},
    ),
    Sampler(
        name="DPM2",
        aliases=("k_dpm_2",),
        function="modules.samplers.heun:dpm_2",
        parameters=CHURN,
        options={"scheduler": "karras", "discard_next_to_last_sigma": "True", "second_order": "True"},
    ),
    Sampler(
        name="DPM2 a",
        aliases=("k_dpm_2_a",),
        function="modules.samplers.heun:dpm_2_ancestral",
        parameters=NOISY,
        options={
            "scheduler": "karras",
            "discard_next_to_last_sigma": "True",
            "uses_ensd": "True",
            "second_order": "True",
        },
    ),
    Sampler(
        name="DPM fast",
        aliases=("k_dpm_fast",),
        function="modules.samplers.dpm:dpm_fast",
        parameters=NOISY,
        options={"uses_ensd": "True"},
        levels="modules.samplers.dpm:fast_levels",
        tail="modules.samplers.dpm:fast_tail",
        wants=("steps",),
    ),
    Sampler(
        name="DPM adaptive",
        aliases=("k_dpm_ad",),
        function="modules.samplers.dpm:dpm_adaptive",
        parameters=("eta",),
        options={"uses_ensd": "True"},
        levels="modules.samplers.dpm:whole_range",
        tail="modules.samplers.dpm:range_tail",
    ),
    Sampler(
        name="Restart",
        aliases=("restart",),
        function="modules.samplers.restart:restart",
        options={"scheduler": "karras", "second_order": "True"},
    ),
    Sampler(
        name="DDIM",
        aliases=("ddim",),
        function="modules.samplers.ddim:ddim",
        parameters=("eta",),
        eta="eta_ddim",
        levels="modules.samplers.schedules:ddim_times",
        tail="modules.samplers.schedules:ddim_tail",
        scaled=True,
    ),
    Sampler(
        name="DDIM CFG++",
        aliases=("ddim_cfgpp",),
        function="modules.samplers.ddim:ddim_cfgpp",
        parameters=("eta",),
        eta="eta_ddim",
        levels="modules.samplers.schedules:ddim_times",
        tail="modules.samplers.schedules:ddim_tail",
        scaled=True,
        guidance=CFGPP_SHARE,
        shows_negative=True,
    ),
    Sampler(
        name="PLMS",
        aliases=("plms",),
        function="modules.samplers.ddim:plms",
        levels="modules.samplers.schedules:ddim_times",
        tail="modules.samplers.schedules:ddim_tail",
        scaled=True,
    ),
    Sampler(
        name="UniPC",
        aliases=("unipc",),
        function="modules.samplers.unipc:unipc",
        settings={
            "variant": "uni_pc_variant",
            "order": "uni_pc_order",
            "lower_order_final": "uni_pc_lower_order_final",
        },
        levels="modules.samplers.schedules:unipc_times",
        tail="modules.samplers.schedules:unipc_tail",
        level_settings={"spacing": "unipc_spacing"},
        scaled=True,
        asks={"v": "stepwise v"},
    ),
    Sampler(
        name="LCM",
        aliases=("k_lcm",),
        function="modules.samplers.lcm:lcm",
        clock="modules.core.process:distilled",
        asks={"v": "eps"},
    ),
    Sampler(name="TCD", aliases=("tcd",), function="modules.samplers.modern:tcd", wants=("trained",)),
    Sampler(name="DDPM", aliases=("ddpm",), function="modules.samplers.ddim:ddpm"),
    Sampler(
        name="Euler CFG++",
        aliases=("euler_cfg_pp",),
        function="modules.samplers.ddim:ddim_cfgpp",
        guidance=CFGPP_SHARE,
        shows_negative=True,
    ),
    Sampler(name="ER-SDE", aliases=("er_sde",), function="modules.samplers.modern:er_sde"),
    Sampler(
        name="SA-Solver",
        aliases=("sa_solver",),
        function="modules.samplers.modern:sa_solver",
        parameters=("eta",),
        wants=("trained",),
    ),
    Sampler(name="res_multistep", aliases=("res",), function="modules.samplers.modern:res_multistep"),
)

SCHEDULERS = (
    Scheduler(name="automatic", label="Automatic", function=None),
    Scheduler(name="uniform", label="Uniform", function="modules.samplers.schedules:uniform", need_inner_model=True),
    Scheduler(name="karras", label="Karras", function="modules.samplers.schedules:karras", default_rho=7.0),
    Scheduler(name="exponential", label="Exponential", function="modules.samplers.schedules:exponential"),
    Scheduler(
        name="polyexponential",
        label="Polyexponential",
        function="modules.samplers.schedules:polyexponential",
        default_rho=1.0,
    ),
    Scheduler(
        name="sgm_uniform",
        label="SGM Uniform",
        function="modules.samplers.schedules:sgm_uniform",
        aliases=("SGMUniform",),
        need_inner_model=True,
    ),
    Scheduler(name="kl_optimal", label="KL Optimal", function="modules.samplers.schedules:kl_optimal"),
    Scheduler(
        name="align_your_steps",
        label="Align Your Steps",
        function="modules.samplers.schedules:align_your_steps",
        settings={"family": "family"},
    ),
    Scheduler(name="simple", label="Simple", function="modules.samplers.schedules:simple", need_inner_model=True),
    Scheduler(name="normal", label="Normal", function="modules.samplers.schedules:normal", need_inner_model=True),
    Scheduler(name="ddim", label="DDIM", function="modules.samplers.schedules:ddim", need_inner_model=True),
    Scheduler(
        name="beta",
        label="Beta",
        function="modules.samplers.schedules:beta",
        need_inner_model=True,
        settings={"alpha": "beta_alpha", "beta": "beta_beta"},
        notes={"Beta schedule alpha": "beta_alpha", "Beta schedule beta": "beta_beta"},
    ),
    Scheduler(
        name="linear_quadratic", label="Linear-quadratic", function="modules.samplers.schedules:linear_quadratic"
    ),
    Scheduler(name="turbo", label="Turbo", function="modules.samplers.schedules:turbo", need_inner_model=True),
)
