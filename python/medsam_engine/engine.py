# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The engine: load a bundle once, encode an image once, answer any number of prompts."""

from __future__ import annotations  # help(Engine) says ArrayLike, not the twenty lines that it stands for

import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine import _core
from medsam_engine._core import CacheStats, EngineInfo, ImageEmbedding
from medsam_engine.engine_log import forward_messages, log_encoded, log_loaded
from medsam_engine.errors import InvalidArgument
from medsam_engine.object_segmentation import ObjectSegmentation
from medsam_engine.prediction import Prediction
from medsam_engine.prompts import prompt_arrays


class Engine(ObjectSegmentation):
    """A loaded model. Immutable: every method may be called from many threads at once, and releases the GIL.

    Args:
        bundle: folder of an exported model (`medsam-engine fetch litemedsam` makes one).
        device: "CPU", "GPU", "NPU" or "AUTO" (OpenVINO), or "cuda:N" (TensorRT; docs/gpu.md), in any case. A device
            that is not available raises Unsupported; the message names what is missing.
        precision: "f32", "auto" or an approximation: "bf16", "f16", "int8", or a pair such as "bf16/f32" for the
            encoder and the decoder. An approximation needs a certificate that it keeps the masks, and a processor that
            computes in it. "auto" selects the fastest such precision, or f32 if there is none. If `medsam-engine tune`
            has been run on this machine, its choice is used (`info.tuned`). `info.precision` reports which precision
            was selected.
        threads: number of inference threads; 0 = all cores that the process may use or, with precision "auto", the
            number that `tune` found to be fastest.
        profile: a name of profile_names(), or None for the bundle's own, which reproduces the published script of its
            model.
        cache_dir: folder for compiled models; None = $MEDSAM_ENGINE_CACHE, or else the user's cache folder;
            "none" = no cache. The folder is created for the user alone. A folder that belongs to another user, or that
            others may write to, is not used, and a warning is logged.
        cache_bytes: bytes of memory for embeddings of earlier images; the least recently used ones are dropped first;
            0 = none.
        embedding_storage: "f32", or "f16" for half the memory. Results do not depend on the cache in either case.
        embedding_store: folder that keeps embeddings between runs; None = none. Protect it as you protect the images.
            The rules for its owner and mode are those of cache_dir. An image is recognized by the SHA-256 of its
            pixels.
        embedding_store_bytes: most bytes in that folder; the least recently written files are deleted first.
        modality: the modality of images for which the call gives none: one of modality_names() in any usual spelling;
            None = unknown. Only models that distinguish modalities use it (`info.modalities`).
        expert_limit: most experts held in memory at once, if the bundle has several; an expert is loaded when it is
            first needed.
        verify: hash every file of the bundle, including files that have not changed since they were last verified.
        trust_bundle_certificates: accept certificates that only the bundle contains (`info.certificates`, origin
            "bundle"), for "auto", "f32" and precisions requested by name. Otherwise only this project's certificates
            and those that `medsam-engine certify` measured on this machine are valid. Set it only for bundles from
            sources whose software you would install.
        allow_uncertified: run `precision` without a certificate. Meant for measurements: masks may differ from those of
            f32.

    In a child process after fork, every method raises Unsupported (`info` and the repr can still be read). So does
    Engine() if the parent has ever had an engine on an OpenVINO device: use multiprocessing's "spawn", or create no
    engine before the fork. A child that inherited one should end with os._exit(), as the children of multiprocessing
    do: in exit(), OpenVINO may wait forever for threads that the child does not have. An engine cannot be pickled,
    because loading a model a second time should be visible in the code.

    Raises:
        ModelError: the bundle is missing, corrupt or of an unknown version.
        InvalidArgument, Unsupported, BackendError: an option is wrong or not possible here.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str],
        device: str = "CPU",
        precision: str = "f32",
        threads: int = 0,
        profile: str | None = "clinical",
        cache_dir: str | os.PathLike[str] | None = None,
        *,
        cache_bytes: int = 256 << 20,
        embedding_storage: str = "f32",
        embedding_store: str | os.PathLike[str] | None = None,
        embedding_store_bytes: int = 4 << 30,
        modality: str | None = None,
        expert_limit: int = 4,
        verify: bool = False,
        trust_bundle_certificates: bool = False,
        allow_uncertified: bool = False,
    ) -> None:
        for name, value in (("cache_bytes", cache_bytes), ("embedding_store_bytes", embedding_store_bytes)):
            if value < 0:
                raise InvalidArgument(f"{name}: got {value}, expected 0 or more; 0 keeps nothing")
        if expert_limit < 1:
            raise InvalidArgument(f"expert_limit: got {expert_limit}, expected at least 1")
        self._core = _core.Engine(
            os.fspath(bundle),
            device=device,
            precision=precision,
            trust_bundle_certificates=trust_bundle_certificates,
            allow_uncertified=allow_uncertified,
            threads=threads,
            profile=profile or "",
            cache_dir="" if cache_dir is None else os.fspath(cache_dir),
            cache_bytes=cache_bytes,
            embedding_storage=embedding_storage,
            embedding_store="" if embedding_store is None else os.fspath(embedding_store),
            embedding_store_bytes=embedding_store_bytes,
            modality=modality or "",
            expert_limit=expert_limit,
            verify=verify,
        )
        forward_messages(self._core)
        log_loaded(self._core, bundle)

    @property
    def info(self) -> EngineInfo:
        """What this engine runs."""
        return self._core.info

    def encode(self, image: NDArray[np.generic], *, modality: str | None = None) -> ImageEmbedding:
        """Encodes one image, which is the expensive step (0.1 to 1 s on a CPU).

        If the same pixels are encoded again, the embedding comes from the cache.

        Args:
            image: (H, W) gray, (H, W, 1) gray or (H, W, 3) RGB; uint8, uint16, int16 or finite float32 of any range.
                Rows may have any stride, and the array may be read-only; an array whose pixels are not adjacent is
                copied once. Do not change it during the call. Models that use the pixels inside a box (mcp_medsam)
                accept uint8 only.
            modality: the modality of the image; None = that of the engine. The embedding keeps it.

        Returns:
            The embedding. In a profile that zooms (`clinical`), it has a copy of the pixels, which `save_embedding`
            writes.

        Raises:
            InvalidArgument: another type, dtype or shape, or a value that is not finite; a modality that is unknown,
                or missing although the model needs one.
            BackendError, OutOfMemory: the inference library failed, or memory ran out.
            Unsupported: after fork.
        """
        started = time.perf_counter()
        embedding = self._core.encode(image, modality=modality or "")
        forward_messages(self._core)
        log_encoded(self._core, embedding, time.perf_counter() - started)
        return embedding

    def predict(
        self,
        embedding: ImageEmbedding,
        box: ArrayLike | None = None,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask_output: bool = False,
        *,
        scribble: ArrayLike | None = None,
        allow_untrained: bool = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> Prediction:
        """Answers N prompts about an encoded image. Coordinates are pixels; pixel (0, 0) is at the top left.

        The masks of a prompt do not depend on the other prompts of the call. Ctrl-C takes effect between batches of
        prompts.

        Args:
            embedding: the result of encode, from an engine with the same fingerprint.
            box: (4,) or (N, 4): x0, y0, x1, y1, ends inclusive.
            point_coords: (P, 2) for one prompt or (N, P, 2): x, y; P at most 1024.
            point_labels: (P,) or (N, P) integers: 1 = object, 0 = background, -1 = not a point.
            mask_input: (h, w), (N, h, w) or (N, 1, h, w) float32: low_res_logits of an earlier prediction or, for a
                model that accepts scribbles, the strokes in that frame, 1 where drawn.
            multimask_output: three alternatives per prompt (M = 3) instead of one.
            scribble: (H, W) or (N, H, W) bool or uint8, nonzero on strokes drawn on the object, for models that accept
                them (`info.accepts_scribble`). With such a model, a prompt that consists of a box only gets the points
                and the scribble that the published script would draw in it; the same box always gets the same ones.
            allow_untrained: answer combinations of prompts that the weights were not trained with (see
                `info.trained_prompts`). For research: such masks are usually wrong.
            cancelled: called between batches; returning True ends the call with Cancelled.

        Raises:
            InvalidArgument: a wrong type, shape or value, or a coordinate outside the image.
            ModelError: the embedding belongs to another model.
            Unsupported: the model does not accept this kind of prompt, or its weights were not trained with it;
                after fork.
            BackendError, OutOfMemory: the inference library failed, or memory ran out.
            Cancelled: `cancelled` returned True.
        """
        if not isinstance(embedding, ImageEmbedding):
            raise InvalidArgument(
                f"embedding: got {type(embedding).__name__}, expected an ImageEmbedding; pass engine.encode(image)"
            )
        prompts = prompt_arrays(box, point_coords, point_labels, mask_input, scribble)
        prediction = self._core.predict(
            embedding,
            count=prompts.count,
            boxes=prompts.boxes,
            point_coords=prompts.point_coords,
            point_labels=prompts.point_labels,
            mask_input=prompts.mask_input,
            scribble=prompts.scribble,
            multimask_output=multimask_output,
            allow_untrained=allow_untrained,
            cancelled=cancelled,
        )
        forward_messages(self._core)
        return Prediction(prediction)

    def check_prompt(self, kinds: Iterable[str], *, allow_untrained: bool = False) -> None:
        """Raises what predict would raise for a prompt of these kinds, without an image.

        For programs that want to know before they encode one, or which of their tools to offer.

        Args:
            kinds: of "box", "points", "mask" and "scribble", those that the prompt is made of.
            allow_untrained: as predict.

        Raises:
            Unsupported: the bundle lacks this kind of prompt, or its weights were not trained with it.
            InvalidArgument: no kind, or an unknown one.
        """
        self._core.check_prompt(list(kinds), allow_untrained=allow_untrained)

    def segment(
        self,
        image: NDArray[np.generic] | ImageEmbedding,
        boxes: ArrayLike,
        *,
        modality: str | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> NDArray[np.uint16] | NDArray[np.uint32]:
        """Encodes an image and segments one object per box.

        The label map is k + 1 where the mask of boxes[k] is, and 0 elsewhere. Where masks overlap, the profile decides.

        segment_objects also returns each mask's size and the model's own estimate of its IoU.

        Args:
            image: an image as for encode, or an embedding.
            boxes: (N, 4): x0, y0, x1, y1 in pixels, ends inclusive; N may be 0.
            modality: as in encode; an embedding already carries the modality of its image.
            cancelled: called between batches; returning True ends the call with Cancelled.

        Returns:
            label map (H, W) uint16, or uint32 if N > 65535; a new array.

        Raises:
            Error: the errors of encode and predict.
        """
        return self.segment_objects(image, boxes, modality=modality, cancelled=cancelled).labels

    def segment_volume(
        self,
        volume: NDArray[np.generic],
        boxes: ArrayLike,
        profile: str | None = None,
        progress: Callable[[int, int], object] | None = None,
        cancelled: Callable[[], bool] | None = None,
        *,
        modality: str | None = None,
        cancel: Callable[[], bool] | None = None,
        planes: str = "slices",
        spacing: Sequence[float] | None = None,
    ) -> NDArray[np.uint16] | NDArray[np.uint32]:
        """Segments one object per 3D box.

        Each object is followed through the slices of its box by the rules of a profile: from its middle slice up and
        down, or each slice for itself. Each slice is encoded once for all objects, or once per sweep through the volume
        if the embeddings that are needed again do not fit into `cache_bytes`; the labels are the same. Slices outside
        all boxes are not read. Ctrl-C takes effect between slices.

        Args:
            volume: (D, H, W) gray or (D, H, W, 3) RGB, with dtypes and strides as for encode.
            boxes: (N, 6): x0, y0, z0, x1, y1, z1 in voxels, ends inclusive; N may be 0.
            profile: a name of profile_names() for this call; None = the profile of the engine.
            progress: called after each step as progress(done, total); a step is one slice, once per
                direction where a profile propagates.
            cancelled: called before each step; returning True ends the call with Cancelled.
            modality: the modality of the volume, as in encode.
            cancel: the former name of `cancelled`, which the next minor version removes (DeprecationWarning).
            planes: "slices", or "three": objects are segmented in the planes along all three axes, and the logits are
                fused, which takes about three times as long. For voxels that are nearly cubes: InvalidArgument where
                one side is more than 1.5 times another, where an axis has fewer than 16 voxels, without `spacing`, and
                for a profile that propagates. Nothing is found outside an object's box then. docs/profiles.md says what
                it is worth.
            spacing: mm between voxels along x, y and z, as MedicalImage.spacing has it; None = not known. Only
                planes="three" needs it.

        Returns:
            labels (D, H, W) uint16, or uint32 if N > 65535; a new array. They are k + 1 where the object of boxes[k]
            is, and 0 elsewhere. Where objects overlap, the profile decides: the later box wins, or in `clinical` the
            smaller one.

        Raises:
            Error: the errors of encode and predict.
            Exception: whatever `progress` or `cancelled` raise.
            TypeError: both `cancelled` and `cancel` are given.
        """
        if cancel is not None:
            if cancelled is not None:
                raise TypeError("segment_volume: got cancelled and cancel, its earlier name; give cancelled alone")
            warnings.warn("segment_volume: cancel is called cancelled now", DeprecationWarning, stacklevel=2)
            cancelled = cancel
        return self.segment_volume_objects(
            volume,
            boxes,
            profile=profile,
            progress=progress,
            cancelled=cancelled,
            modality=modality,
            planes=planes,
            spacing=spacing,
        ).labels

    def cache_stats(self) -> CacheStats:
        """The counters of the embedding cache: hits, misses, store_hits, evictions, entries, bytes, budget.

        Raises:
            Unsupported: after fork.
        """
        return self._core.cache_stats()

    def clear_cache(self) -> None:
        """Drops all cached embeddings; the counters and the store on disk stay.

        Raises:
            Unsupported: after fork.
        """
        self._core.clear_cache()

    def __repr__(self) -> str:
        info = self.info
        return f"<Engine {info.family} {info.precision} on {info.device}, {info.backend}, profile {info.profile}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Engine: cannot be pickled or copied; create it in each process with Engine(bundle, ...)")
