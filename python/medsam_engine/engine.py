# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The engine: load a bundle once, encode an image once, answer any number of prompts."""

import logging
import os
import warnings
from collections.abc import Callable, Iterable
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine import _core
from medsam_engine._core import CacheStats, EngineInfo, ImageEmbedding
from medsam_engine.errors import InvalidArgument
from medsam_engine.prediction import Prediction
from medsam_engine.prompts import box3d_array, box_array, prompt_arrays

_logger = logging.getLogger("medsam_engine")


class Engine:
    """A loaded model. Immutable: every method may be called from many threads at once, and releases the GIL.

    Args:
        bundle: folder of an exported model (`medsam-engine fetch litemedsam` makes one).
        device: "CPU", "GPU", "NPU" or "AUTO" (OpenVINO), or "cuda:N" (TensorRT; docs/gpu.md). Unsupported, naming what
            is missing, when it is not there.
        precision: "f32"; "bf16", "f16" or "int8", which need a certificate that they keep the masks and a
            processor that computes in them; "bf16/f32" names the encoder's and the decoder's; or "auto", the fastest
            such, else f32: as `medsam-engine tune` measured on this machine, where it did (`info.tuned`).
            `info.precision` says what came of it.
        threads: inference threads; 0 = all cores the process may use, or with precision "auto" what `tune` found best.
        profile: a name of profile_names(), or None for the bundle's own, which reproduces its published script.
        cache_dir: folder for compiled models; None = $MEDSAM_ENGINE_CACHE, else the user's cache folder;
            "none" = no cache. Made for the user alone; one that belongs to another user, or that others may write
            to, is not used, with a warning.
        cache_bytes: embeddings kept for images seen before, least recently used out first; 0 = none.
        embedding_storage: "f32", or "f16" for half the memory; an answer does not depend on the cache either way.
        embedding_store: folder that keeps embeddings between runs; None = none. Protect it as you protect the images;
            its rules are those of cache_dir. An image is known again by the SHA-256 of its pixels.
        embedding_store_bytes: what that folder may hold; the least recently written files go first.
        modality: of images for which none is given, one of modality_names() in any usual spelling; None = not known.
            Only bundles whose model tells modalities apart look at it (`info.modalities`).
        expert_limit: most experts held at once where the bundle has several; they load when first needed.
        verify: hash every file of the bundle, also those unchanged since they were last verified.
        trust_bundle_certificates: take the bundle's own word for its certificates (`info.certificates`, origin
            "bundle"), for "auto", "f32" and precisions asked for by name. Without it only this project's count, and
            those that `medsam-engine certify` measured on this machine. For bundles from where you take software.
        allow_uncertified: run `precision` without a certificate. For measuring; masks may differ from f32's.

    In a child process after fork every method raises Unsupported (`info` and the repr can still be read): create the
    engine there, or use multiprocessing's "spawn". A child that inherited one should end with os._exit(), as
    multiprocessing's do: in exit(), OpenVINO can wait for ever for threads that the child does not have. It does not
    pickle, since loading a model twice should be visible in the code.

    Raises:
        ModelError: the bundle is missing, corrupt or of an unknown version.
        InvalidArgument, Unsupported, BackendError: an option is wrong, or not possible here.
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
        self._forward_messages()

    @property
    def info(self) -> EngineInfo:
        """What this engine runs."""
        return self._core.info

    def encode(self, image: NDArray[np.generic], *, modality: str | None = None) -> ImageEmbedding:
        """Encodes one image, the expensive step (0.1 to 1 s on a CPU). The same pixels again come from the cache.

        Args:
            image: (H, W) grey, (H, W, 1) grey or (H, W, 3) RGB; uint8, uint16, int16 or finite float32 of any range.
                Rows may have any stride and be read-only; pixels that are not adjacent are copied once. Do not change
                it during the call. Models that look at the pixels inside a box (mcp_medsam) take uint8 only.
            modality: the image's; None = the engine's. It belongs to the embedding from here on.

        Raises:
            InvalidArgument: another type, dtype or shape, or a value that is not finite; a modality that is unknown,
                or missing where the model needs one.
            BackendError, OutOfMemory: the inference library failed, or memory ran out.
            Unsupported: after fork.
        """
        embedding = self._core.encode(image, modality=modality or "")
        self._forward_messages()
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
        """Answers N prompts on an encoded image. Coordinates are pixels of the image, pixel (0, 0) top left.

        A prompt's masks do not depend on the other prompts of the call. Ctrl-C is honoured between batches of prompts.

        Args:
            embedding: of encode, by an engine with the same fingerprint.
            box: (4,) or (N, 4): x0, y0, x1, y1, ends inclusive.
            point_coords: (P, 2) for one prompt or (N, P, 2): x, y.
            point_labels: (P,) or (N, P) integers: 1 object, 0 background, -1 no point.
            mask_input: (h, w), (N, h, w) or (N, 1, h, w) float32: low_res_logits of an earlier prediction; of a model
                that takes scribbles, the strokes in that frame, 1 where drawn.
            multimask_output: M = 3 alternatives a prompt instead of 1.
            scribble: (H, W) or (N, H, W) bool or uint8, not 0 on strokes drawn on the object, for models that take
                them (`info.accepts_scribble`). With such a model a prompt that is a box alone gets the points and the
                scribble that the published script would draw in it, the same ones for the same box.
            allow_untrained: answer combinations of prompts that the weights were not trained with
                (`info.trained_prompts`). For research: their masks are usually wrong.
            cancelled: asked between batches; True ends the call with Cancelled.

        Raises:
            InvalidArgument: a wrong type, shape or value, or a coordinate outside the image.
            ModelError: the embedding belongs to another model.
            Unsupported: the bundle lacks this kind of prompt, or its weights were not trained with it; after fork.
            BackendError, OutOfMemory: the inference library failed, or memory ran out.
            Cancelled: `cancelled` said so.
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
        self._forward_messages()
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
        """One label a box: k + 1 where boxes[k]'s mask is, 0 elsewhere; the profile decides where masks overlap.

        Args:
            image: as encode takes it, or what encode gave.
            boxes: (N, 4): x0, y0, x1, y1 in pixels, ends inclusive; N may be 0.
            modality: as encode; an embedding has its own.
            cancelled: asked between batches; True ends the call with Cancelled.

        Returns:
            label map (H, W) uint16, or uint32 when N > 65535; the caller's own.

        Raises:
            Error: as encode and predict.
        """
        labels = self._core.segment(image, box_array(boxes), modality=modality or "", cancelled=cancelled)
        self._forward_messages()
        return labels

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
    ) -> NDArray[np.uint16] | NDArray[np.uint32]:
        """One label a 3D box: each object starts at its middle slice and propagates both ways by a profile's rules.

        Each slice is encoded once for all objects while the embeddings needed again fit `cache_bytes`, and once more
        where they do not; the labels are the same. Slices outside of all boxes are not looked at. Ctrl-C is honoured
        between slices.

        Args:
            volume: (D, H, W) grey or (D, H, W, 3) RGB, dtypes and strides as encode takes them.
            boxes: (N, 6): x0, y0, z0, x1, y1, z1 in voxels, ends inclusive; N may be 0.
            profile: a name of profile_names() for this call; None = the engine's.
            progress: called after each step as progress(done, total); a step is a slice in one direction.
            cancelled: asked before each step; True ends the call with Cancelled.
            modality: the volume's, as encode.
            cancel: the earlier name of `cancelled`; goes with the next minor version (DeprecationWarning).

        Returns:
            labels (D, H, W) uint16, or uint32 when N > 65535: k + 1 where object k is, 0 elsewhere; where objects
            overlap, the profile decides (the later box wins, in `clinical` the smaller). The caller's own.

        Raises:
            Error: as encode and predict.
            Exception: whatever `progress` or `cancelled` raise.
            TypeError: both `cancelled` and `cancel` are given.
        """
        if cancel is not None:
            if cancelled is not None:
                raise TypeError("segment_volume: got cancelled and cancel, its earlier name; give cancelled alone")
            warnings.warn("segment_volume: cancel is called cancelled now", DeprecationWarning, stacklevel=2)
            cancelled = cancel
        labels = self._core.segment_volume(
            volume,
            box3d_array(boxes),
            profile=profile or "",
            modality=modality or "",
            progress=progress,
            cancelled=cancelled,
        )
        self._forward_messages()
        return labels

    def cache_stats(self) -> CacheStats:
        """The embedding cache's counters: hits, misses, store_hits, evictions, entries, bytes, budget.

        Raises:
            Unsupported: after fork.
        """
        return self._core.cache_stats()

    def clear_cache(self) -> None:
        """Forgets every cached embedding; the counters and the store on disk stay.

        Raises:
            Unsupported: after fork.
        """
        self._core.clear_cache()

    def __repr__(self) -> str:
        info = self.info
        return f"<Engine {info.family} {info.precision} on {info.device}, {info.backend}, profile {info.profile}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Engine: cannot be pickled or copied; create it in each process with Engine(bundle, ...)")

    def _forward_messages(self) -> None:
        for is_warning, text in self._core.take_messages():
            _logger.log(logging.WARNING if is_warning else logging.INFO, "%s", text)
