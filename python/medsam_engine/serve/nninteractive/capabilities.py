# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a model can do, in the words of nnInteractive's protocol."""

from __future__ import annotations

from typing import Any

import medsam_engine
from medsam_engine import EngineInfo

KINDS = ("points", "bbox2d", "bbox3d", "lasso", "scribble")


def supported(info: EngineInfo) -> dict[str, bool]:
    """Which interactions are answered, by the protocol's names.

    Weights that know boxes answer clicks and scribbles by a search (docs/interaction.md), and outlines in their box.
    """
    box = ("box",) in info.trained_prompts
    points = box or ("points",) in info.trained_prompts
    return {"points": points, "bbox2d": box, "bbox3d": box, "lasso": box, "scribble": box}


def capabilities(info: EngineInfo, propagates: bool) -> dict[str, Any]:
    """The reply to /capabilities."""
    return {
        "supported_interactions": supported(info),
        "supports_initial_label": True,
        "preferred_scribble_thickness": [1, 1, 1],
        "channel_mapping": {},
        "num_interaction_channels": 0,
        "supports_zero_shot_label_refinement": False,
        "interaction_decay": None,
        "inference_session_version": f"medsam-engine {medsam_engine.__version__}",
        "supports_undo": True,
        "do_autozoom": propagates,
        "license": f"medsam-engine with {info.family}, not nnInteractive; see the license of these weights",
        "patch_size": None,
    }
