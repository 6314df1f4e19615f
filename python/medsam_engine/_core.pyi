# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_Changed = tuple[int, int, int, int, int, int] | None  # x0, y0, z0, x1, y1, z1 of the voxels, ends inclusive

class Error(Exception):
    """Base class of every error that the engine raises. `code` is stable across versions."""

    code: int

class InvalidArgument(Error, ValueError):
    """An input is outside its documented range. Also a ValueError."""

class ModelError(Error):
    """The bundle is missing, corrupt or of an unknown version, or an embedding belongs to another model."""

class BackendError(Error):
    """The inference library failed; the message contains its text."""

class OutOfMemory(Error, MemoryError):
    """An allocation failed. Also a MemoryError."""

class Unsupported(Error):
    """Not possible on this machine, in this process, or with this bundle."""

class Cancelled(Error):
    """The caller's cancellation callback returned True."""

class CertificateInfo:
    """A certificate in a bundle."""

    @property
    def precision(self) -> str:
        """Its name, e.g. "bf16"."""
    @property
    def encoder(self) -> str:
        """Precision of the encoder."""
    @property
    def decoder(self) -> str:
        """Precision of the decoder."""
    @property
    def origin(self) -> str:
        """Where it comes from: "project", "machine" or "bundle".

        It was measured by this project and is compiled into the library, it was measured on this machine by
        `medsam-engine certify`, or only the bundle contains it, in which case anybody may have written it.
        """
    @property
    def obstacle(self) -> str:
        """Why it is not valid here; "" = it is valid."""
    @property
    def images(self) -> int:
        """Images and volumes that it was measured on."""
    @property
    def agreement_mean(self) -> float:
        """DSC with the f32 masks, the mean over their objects."""
    @property
    def agreement_worst(self) -> float:
        """That of the object on which it is lowest; NaN where the certificate does not have it."""

class EngineInfo:
    """What an engine runs."""

    @property
    def family(self) -> str:
        """E.g. "litemedsam"."""
    @property
    def profile(self) -> str:
        """The profile in force."""
    @property
    def device(self) -> str:
        """As the backend names it."""
    @property
    def precision(self) -> str:
        """The precision in force: "f32", or that of the certificate used."""
    @property
    def encoder_precision(self) -> str:
        """Precision of the encoder."""
    @property
    def decoder_precision(self) -> str:
        """Precision of the decoder."""
    @property
    def encoder_backend(self) -> str:
        """The backend of the encoder, e.g. "fused 2" (docs/precision.md)."""
    @property
    def decoder_backend(self) -> str:
        """The backend of the decoder, e.g. "fused decoder 1" (docs/precision.md)."""
    @property
    def backend(self) -> str:
        """E.g. "OpenVINO 2026.4.1"; in a bundle without graphs, the engine's own kernels."""
    @property
    def model_hash(self) -> str:
        """SHA-256 over the bundle's model files, hex."""
    @property
    def fingerprint(self) -> str:
        """The value that an embedding must carry to be accepted, over all experts."""
    @property
    def threads(self) -> int:
        """Inference threads requested or tuned; 0 = all cores."""
    @property
    def tuned(self) -> bool:
        """Whether `medsam-engine tune` chose the precision and the threads."""
    @property
    def certified(self) -> tuple[str, ...]:
        """Precisions that may run here: "encoder/decoder"; first "f32/f32", or "f32_fused/f32_fused" without graphs."""
    @property
    def certificates(self) -> tuple[CertificateInfo, ...]:
        """The certificates in the bundle, in its order."""
    @property
    def certificates_file(self) -> str:
        """Record of the certificates measured on this machine; "" without a cache folder."""
    @property
    def machine(self) -> str:
        """The machine, as stored with a tuned choice."""
    @property
    def tuning_file(self) -> str:
        """Path of a tuned choice; "" without a cache folder."""
    @property
    def input_size(self) -> int:
        """Side of the encoder's square input, pixels."""
    @property
    def embedding_shape(self) -> tuple[int, ...]:
        """(1, C, h, w)."""
    @property
    def mask_shape(self) -> tuple[int, ...]:
        """(h, w) of `low_res_logits`."""
    @property
    def accepts_points(self) -> bool:
        """Whether prompts may have points."""
    @property
    def accepts_mask(self) -> bool:
        """Whether prompts may have an earlier mask."""
    @property
    def accepts_scribble(self) -> bool:
        """Whether prompts may have a scribble."""
    @property
    def trained_prompts(self) -> tuple[tuple[str, ...], ...]:
        """The combinations of "box", "points", "mask" and "scribble" that the weights were trained with.

        `accepts_*` says what the graph takes, which is usually more: a prompt that is not in this list gets a wrong
        mask, and is refused.
        """
    @property
    def trained_prompts_stated(self) -> bool:
        """Whether the bundle states them; False: it is too old to, and only a box alone counts. Export it again."""
    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that the model distinguishes; empty: it does not use any."""
    @property
    def needs_modality(self) -> bool:
        """Whether an image without one of `modalities` is refused."""
    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the bundle's experts; empty: one model for all."""

class ImageEmbedding:
    """One encoded image; immutable, and may outlive its Engine."""

    @property
    def height(self) -> int:
        """Rows of the original image."""
    @property
    def width(self) -> int:
        """Columns of the original image."""
    @property
    def original_size(self) -> tuple[int, int]:
        """(H, W) of the image, pixels."""
    @property
    def shape(self) -> tuple[int, ...]:
        """The image embedding's shape, (1, C, h, w)."""
    @property
    def nbytes(self) -> int:
        """Bytes held: all encoder outputs, and the image's pixels where the model or a zoom looks at them again."""
    @property
    def fingerprint(self) -> str:
        """Hex digest naming the encoder, its precision, its image rules and the storage."""
    @property
    def array(self) -> NDArray[np.float32]:
        """The image embedding, (1, C, h, w) float32, read-only; it keeps the embedding alive."""
    def to_bytes(self) -> bytes:
        """The embedding as bytes, portable between machines and guarded by a digest."""
    @staticmethod
    def from_bytes(data: bytes) -> ImageEmbedding:
        """Restores an embedding from to_bytes. ModelError if the bytes were not written by it."""
    def __getstate__(self) -> bytes: ...
    def __setstate__(self, state: bytes, /) -> None: ...
    def __copy__(self, *args: object) -> ImageEmbedding: ...
    def __deepcopy__(self, *args: object) -> ImageEmbedding: ...

class CacheStats:
    """The embedding cache's counters since the engine was made."""

    @property
    def hits(self) -> int:
        """Images whose embedding was cached, or being computed by another thread."""
    @property
    def misses(self) -> int:
        """Images encoded, or read from the store."""
    @property
    def store_hits(self) -> int:
        """Number of misses that were read from the store."""
    @property
    def evictions(self) -> int:
        """Embeddings dropped to stay within the budget."""
    @property
    def entries(self) -> int:
        """Embeddings held now."""
    @property
    def bytes(self) -> int:
        """Bytes of the embeddings held now."""
    @property
    def budget(self) -> int:
        """`cache_bytes` of the engine."""

class Prediction:
    @property
    def size(self) -> int: ...
    @property
    def masks_per_prompt(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def low_res_logits(self) -> NDArray[np.float32]: ...
    @property
    def iou_predictions(self) -> NDArray[np.float32]: ...
    def mask(self, n: int, m: int) -> NDArray[np.bool_]: ...
    def masks(self) -> NDArray[np.bool_]: ...

class Engine:
    def __init__(
        self,
        bundle: str,
        *,
        device: str,
        precision: str,
        trust_bundle_certificates: bool,
        allow_uncertified: bool,
        threads: int,
        profile: str,
        cache_dir: str,
        cache_bytes: int,
        embedding_storage: str,
        embedding_store: str,
        embedding_store_bytes: int,
        modality: str,
        expert_limit: int,
        verify: bool,
    ) -> None: ...
    @property
    def info(self) -> EngineInfo: ...
    def encode(self, image: NDArray[np.generic], *, modality: str) -> ImageEmbedding: ...
    def predict(
        self,
        embedding: ImageEmbedding,
        *,
        count: int,
        boxes: NDArray[np.float64] | None,
        point_coords: NDArray[np.float64] | None,
        point_labels: NDArray[np.int32] | None,
        mask_input: NDArray[np.float32] | None,
        scribble: NDArray[np.uint8] | None,
        multimask_output: bool,
        allow_untrained: bool,
        cancelled: Callable[[], bool] | None,
    ) -> Prediction: ...
    def check_prompt(self, kinds: Sequence[str], *, allow_untrained: bool) -> None: ...
    def segment(
        self,
        image: NDArray[np.generic] | ImageEmbedding,
        boxes: NDArray[np.float64],
        *,
        modality: str,
        cancelled: Callable[[], bool] | None,
    ) -> tuple[NDArray[np.uint16] | NDArray[np.uint32], list[tuple[int, int, int, int, int, float]]]: ...
    def segment_volume(
        self,
        volume: NDArray[np.generic],
        boxes: NDArray[np.float64],
        *,
        profile: str,
        modality: str,
        progress: Callable[[int, int], object] | None,
        cancelled: Callable[[], bool] | None,
        planes: str,
        spacing: Sequence[float],
    ) -> tuple[NDArray[np.uint16] | NDArray[np.uint32], list[tuple[int, int, int, int, int, int, int, float]]]: ...
    def cache_stats(self) -> CacheStats: ...
    def clear_cache(self) -> None: ...
    def take_messages(self) -> list[tuple[bool, str]]: ...

class Session:
    def __init__(
        self,
        engine: Engine,
        volume: NDArray[np.generic],
        *,
        spacing: Sequence[float],
        modality: str,
        embedding_bytes: int,
        undo_bytes: int,
        encode_ahead: bool,
    ) -> None: ...
    def add_box(self, object: str, box: NDArray[np.float64], axis: int, index: int) -> _Changed: ...
    def add_box_3d(
        self,
        object: str,
        box: NDArray[np.float64],
        *,
        progress: Callable[[int, int], object] | None,
        cancelled: Callable[[], bool] | None,
        planes: str,
    ) -> _Changed: ...
    def add_click(self, object: str, x: float, y: float, positive: bool, axis: int, index: int) -> _Changed: ...
    def add_scribble(
        self, object: str, line: NDArray[np.float64], positive: bool, axis: int, index: int
    ) -> _Changed: ...
    def add_lasso(self, object: str, outline: NDArray[np.float64], axis: int, index: int) -> _Changed: ...
    def add_line(self, object: str, ends: NDArray[np.float64], axis: int, index: int) -> _Changed: ...
    def add_mask(self, object: str, mask: NDArray[np.uint8]) -> _Changed: ...
    def propagate(
        self,
        object: str,
        *,
        axis: int,
        direction: str,
        first: int | None,
        last: int | None,
        distance: float | None,
        seconds: float | None,
        progress: Callable[[int, int], object] | None,
        cancelled: Callable[[], bool] | None,
        reached: Callable[[int, NDArray[np.bool_]], bool | None] | None,
    ) -> _Changed: ...
    def undo(self) -> _Changed: ...
    def redo(self) -> _Changed: ...
    def undo_steps(self) -> int: ...
    def redo_steps(self) -> int: ...
    def remove(self, object: str) -> _Changed: ...
    def reset(self) -> _Changed: ...
    def lock(self, object: str, locked: bool) -> None: ...
    def objects(self) -> list[tuple[str, bool, int, _Changed, int]]: ...
    def mask(self, object: str, box: tuple[int, int, int, int, int, int] | None = None) -> NDArray[np.bool_]: ...
    def preview_click(self, x: float, y: float, axis: int, index: int) -> NDArray[np.bool_] | None: ...
    def preview_box(self, box: NDArray[np.float64], axis: int, index: int) -> NDArray[np.bool_] | None: ...
    def labels(self) -> NDArray[np.uint16]: ...
    def encoding(self) -> tuple[int, int, bool]: ...
    def save(self, path: str) -> None: ...
    def load(self, path: str) -> _Changed: ...

class CaseReport:
    """The outcome of one case; times in seconds."""

    @property
    def name(self) -> str:
        """File name, e.g. "2DBox_US_busi_1.npz"."""
    @property
    def status(self) -> Literal["done", "skipped", "failed"]:
        """The outcome: "done", "skipped" (its answer existed) or "failed"."""
    @property
    def message(self) -> str:
        """The reason in one line if the case failed, else empty."""
    @property
    def objects(self) -> int:
        """Number of boxes."""
    @property
    def empty_objects(self) -> int:
        """Number of boxes in which nothing was found."""
    @property
    def slices(self) -> int:
        """D of a volume, 1 for an image, 0 when skipped or unreadable."""
    @property
    def read_s(self) -> float:
        """Reading the file, seconds."""
    @property
    def segment_s(self) -> float:
        """Encoding and decoding, seconds."""
    @property
    def write_s(self) -> float:
        """Writing the answer, seconds."""

class FolderReport:
    """The outcome of all cases of a folder."""

    @property
    def cases(self) -> list[CaseReport]:
        """The cases, sorted by name. Cases that a cancelled run did not reach are absent."""
    @property
    def done(self) -> int:
        """Number of cases that were segmented and written."""
    @property
    def skipped(self) -> int:
        """Number of cases whose answer existed already."""
    @property
    def failed(self) -> int:
        """Number of cases that failed."""
    @property
    def wall_s(self) -> float:
        """The whole run, seconds."""
    @property
    def csv_fault(self) -> str:
        """The reason why the table of times is incomplete; "" if it is complete."""

class FolderRun:
    def __init__(
        self,
        input_folder: bytes,
        output_folder: bytes,
        *,
        overwrite: bool,
        csv: bytes,
        modality: str,
        max_bytes: int,
        also_read: Sequence[bytes],
    ) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def pending(self) -> int: ...
    def run(
        self,
        engine: Engine | None,
        *,
        progress: Callable[[int, int, str, int, int], object] | None,
        finished: Callable[[CaseReport], object] | None,
        cancelled: Callable[[], bool] | None,
    ) -> FolderReport: ...

def default_max_bytes() -> int: ...

class IntensityWindow:
    """A window as it was resolved for one image or volume."""

    @property
    def unchanged(self) -> bool:
        """Whether the engine takes the values as they are."""
    @property
    def low(self) -> float:
        """Values below are taken for this."""
    @property
    def high(self) -> float:
        """Values above are taken for this."""
    @property
    def darkest(self) -> float:
        """The clipped value that becomes 0."""
    @property
    def brightest(self) -> float:
        """The clipped value that becomes 255. If it is not above `darkest`, everything becomes 0."""
    @property
    def zeros_stay(self) -> bool:
        """Whether values of exactly 0 become 0."""

def resolve_window(
    values: NDArray[np.generic],
    window: str,
    modality: str,
    color: bool,
    hounsfield: bool,
    padding: Sequence[tuple[float, float] | None],
) -> IntensityWindow:
    """The window of all slices values[k]; `padding` has one entry for each, or none at all. Releases the GIL."""

def apply_window(
    window: IntensityWindow,
    values: NDArray[np.generic],
    padding: tuple[float, float] | None,
    out: NDArray[np.uint8],
) -> None:
    """Writes values of any shape as they look through the window to `out`, C-contiguous. Releases the GIL."""

def default_window(modality: str, hounsfield: bool) -> str: ...
def check_window(window: str) -> None: ...
def ct_presets() -> dict[str, tuple[float, float]]:
    """Width and level of the named windows for CT, in Hounsfield units."""

def profile_names() -> list[str]:
    """Names of the built-in profiles, sorted."""

def modality_names() -> list[str]:
    """The modalities that the engine knows, sorted."""

def canonical_modality(word: str) -> str | None: ...
def simd_target() -> str:
    """The instruction set that the pixel kernels use in this process."""

def version() -> str:
    """The library's version."""
