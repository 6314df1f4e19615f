# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A compiled engine for promptable medical segmentation: boxes and points in, masks out, without PyTorch.

>>> engine = Engine("path/to/bundle")
>>> embedding = engine.encode(image)  # uint8, uint16, int16 or float32, (H, W) or (H, W, 3)
>>> prediction = engine.predict(embedding, box=[x0, y0, x1, y1])
>>> mask = prediction.mask(0)  # bool, (H, W)
"""

import sys

if sys.platform == "win32":  # which looks beside the module only, and the library lies beside its programs
    import os

    os.add_dll_directory(os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin"))

from medsam_engine._core import (
    CacheStats,
    CaseReport,
    CertificateInfo,
    EngineInfo,
    FolderReport,
    ImageEmbedding,
    modality_names,
    profile_names,
    simd_target,
    version,
)
from medsam_engine.embedding_file import load_embedding, save_embedding
from medsam_engine.engine import Engine
from medsam_engine.errors import (
    BackendError,
    Cancelled,
    Error,
    InvalidArgument,
    ModelError,
    OutOfMemory,
    Unsupported,
)
from medsam_engine.folder import FolderRun
from medsam_engine.paths import find_bundle
from medsam_engine.prediction import Prediction
from medsam_engine.predictor import Predictor
from medsam_engine.segmentation import Segmentation, SegmentedObject
from medsam_engine.session import EncodingProgress, Session, SessionObject

__version__ = version()

__all__ = [
    "BackendError",
    "CacheStats",
    "Cancelled",
    "CaseReport",
    "CertificateInfo",
    "EncodingProgress",
    "Engine",
    "EngineInfo",
    "Error",
    "FolderReport",
    "FolderRun",
    "ImageEmbedding",
    "InvalidArgument",
    "ModelError",
    "OutOfMemory",
    "Prediction",
    "Predictor",
    "Segmentation",
    "SegmentedObject",
    "Session",
    "SessionObject",
    "Unsupported",
    "__version__",
    "find_bundle",
    "load_embedding",
    "modality_names",
    "profile_names",
    "save_embedding",
    "simd_target",
]
