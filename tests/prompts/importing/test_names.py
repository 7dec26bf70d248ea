"""Names of other programs become labels that Easel knows; what nobody knows stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.prompts.importing.names import sampling, schedule_label
from modules.samplers.catalog import builtin

CATALOG = builtin()


@pytest.mark.parametrize("name", [sampler.name for sampler in CATALOG.samplers()])
def test_our_own_labels_stay(name: str) -> None:
    assert sampling(name) == {"Sampler": name}
    assert sampling(f"{name} Karras") == {"Sampler": name, "Schedule type": "Karras"}


@pytest.mark.parametrize("label", [scheduler.label for scheduler in CATALOG.schedulers()])
def test_our_own_schedules_stay(label: str) -> None:
    assert schedule_label(label) == label


SPELLINGS = ["k_euler_a", "k_lms", "kdpm_2_a_k", "dpmpp_2m_k", "DPM++ 2M AYS", "pndm", "uni_pc_bh2", "dpmpp_3m_sde_gpu"]
SPELLINGS += ["euler_cfg_pp", "er_sde", "sa_solver", "res_multistep", "TCD Trailing", "DPM2 a Karras", "dpm_adaptive"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_is_translated_is_in_the_catalog(spelling: str) -> None:
    fields = sampling(spelling)
    assert CATALOG.find_sampler(fields["Sampler"])[0].name == fields["Sampler"]
    if "Schedule type" in fields:
        assert CATALOG.find_scheduler(fields["Schedule type"]).label == fields["Schedule type"]


def test_the_schedule_that_is_named_apart_counts_more() -> None:
    assert sampling("dpmpp_2m_k", "exponential") == {"Sampler": "DPM++ 2M", "Schedule type": "Exponential"}


@given(st.text(), st.text())
def test_any_names_are_translated_or_kept(sampler: str, scheduler: str) -> None:
    fields = sampling(sampler, scheduler)
    assert set(fields) <= {"Sampler", "Schedule type"}
    assert all(value.strip() for value in fields.values())
    assert sampling(**{"sampler": fields.get("Sampler", ""), "scheduler": fields.get("Schedule type", "")}) == fields
