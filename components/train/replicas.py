"""The devices that train one model together: one, every GPU of a machine, or those of several machines.

Data parallel, by tf.distribute: each replica computes the gradients of its own rows of every batch, and all take the
same step by their mean. Nothing else differs from one device: batch normalisation normalises by the whole batch
(`synchronised`), gradients are clipped after they were averaged, and whatever depends on a clock, a signal or a disk is
decided by one worker for all.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.errors import ServiceError, UsageError
from components.train.cluster import meet, read_cluster

Batch = tuple[NDArray[np.uint8], NDArray[Any]]
SILENCE_SECONDS = 900.0  # after which a worker that lives but answers no more is given up
GONE = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError)


@dataclass(frozen=True)
class Replicas:
    """A strategy of tf.distribute and this process's place in it: worker 0 is the chief, who writes and tells."""

    strategy: tf.distribute.Strategy
    worker: int = 0
    workers: int = 1

    @property
    def count(self) -> int:
        """Devices of all workers."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def local(self) -> int:
        """Devices of this worker."""
        return self.count // self.workers

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes and tells."""
        return self.worker == 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Variables made in this block exist on every device. Raises ServiceError when another worker is gone."""
        try:
            with self.strategy.scope():
                yield
        except GONE as error:
            if self.workers == 1:
                raise
            raise ServiceError(
                "another worker is gone: look at its output, then start all workers again; the training goes on from its last checkpoint"
            ) from error

    def graph(self, function: Callable[..., Any], **options: Any) -> Any:
        """`function` as one graph that runs on every device of this worker at once."""
        return tf.function(lambda *values: self.strategy.run(function, args=values), autograph=False, **options)

    def rows(self, size: int) -> slice:
        """What this worker computes of a batch of `size` images. Raises UsageError when the devices cannot share it equally."""
        if size % self.count:
            near = [size - size % self.count, size + self.count - size % self.count]
            raise UsageError(
                f"a batch of {size} images cannot be shared equally by {self.count} devices: "
                f"set batch_size to {' or '.join(str(number) for number in near if number)}, or strategy: single"
            )
        part = size // self.workers
        return slice(self.worker * part, (self.worker + 1) * part)

    def shareable(self, size: int) -> int:
        """The chief's batch size, lowered to one that the devices can share equally; one image a device at least."""
        size = int(self.chiefs(size))
        return max(size - size % self.count, self.count)

    def split(self, *arrays: NDArray[Any]) -> tuple[Any, ...]:
        """Arrays (B, ...) of this worker as values for `graph`: to each device its rows."""
        if self.local == 1:
            return arrays
        return tuple(self._values(np.array_split(array, self.local)) for array in arrays)

    def spread(self, batches: tuple[Batch, ...]) -> tuple[Any, ...]:
        """Batches, one for each device of this worker at most, as values for `graph`; the last fills those left over."""
        if self.local == 1:
            return batches[0]
        full = [*batches, *batches[-1:] * (self.local - len(batches))]
        return tuple(self._values(list(arrays)) for arrays in zip(*full, strict=True))

    def results(self, found: Any) -> list[NDArray[Any]]:
        """What `graph` answered, of each device of this worker."""
        return [value.numpy() for value in self.strategy.experimental_local_results(found)]

    def share(self, count: int) -> list[int]:
        """Of `count` batches those that this worker measures: as many in turn as it has devices."""
        return [number for number in range(count) if number // self.local % self.workers == self.worker]

    def mean(self, gradients: list[Any]) -> list[Any]:
        """Within `graph`: the mean of what all replicas computed."""
        if self.count == 1:
            return gradients
        reduced: list[Any] = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        return reduced

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum of each worker's float64 or int64 values; every worker must ask at the same point."""
        if self.workers == 1:
            return values
        parts = [values, *[np.zeros_like(values)] * (self.local - 1)]
        reduced: NDArray[Any] = self.strategy.reduce("SUM", self._values(parts), axis=None).numpy()
        return reduced

    def chiefs(self, value: float) -> float:
        """The chief's value, on every worker."""
        return float(self.total(np.array([value if self.is_chief else 0.0], np.float64))[0]) if self.workers > 1 else value

    def chiefs_bytes(self, content: bytes) -> bytes:
        """The chief's bytes, on every worker."""
        if self.workers == 1:
            return content
        size = int(self.chiefs(len(content)))
        if not size:  # TensorFlow dies of an empty sum
            return b""
        words = np.zeros(-(-size // 8), np.int64)
        if self.is_chief:
            words.view(np.uint8)[:size] = np.frombuffer(content, np.uint8)
        return self.total(words).tobytes()[:size]

    def refuse_difference(self, key: str) -> None:
        """Raise UsageError, on all workers, when one is about to train something else than the chief, by its `key`."""
        differs = self.chiefs_bytes(key.encode()) != key.encode()
        if self.total(np.array([float(differs)]))[0]:
            what = "parameters, data, pretrained weights and code must be the same on every machine"
            whose = "this worker" if differs else "another worker"
            raise UsageError(f"{whose} would train something else than the chief: {what}; `dvc status` says what differs")

    def _values(self, parts: list[NDArray[Any]]) -> Any:
        first = self.worker * self.local
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group - first])
        )


def alone() -> Replicas:
    """One device, as TensorFlow chooses it."""
    return Replicas(tf.distribute.get_strategy())


def choose(wanted: Literal["auto", "single", "multi_worker"], environment: Mapping[str, str], told: Callable[[str], None]) -> Replicas:
    """The replicas that a training should run on; before anything else is computed by TensorFlow.

    `told` hears of a wait for others. Raises UsageError when `environment` has no usable TF_CONFIG for multi_worker,
    ServiceError when a worker that it names does not come.
    """
    if wanted == "multi_worker":
        cluster = read_cluster(environment)
        if cluster.others:
            told(f"worker {cluster.index} of {len(cluster.addresses)}: waiting for {', '.join(cluster.others)}")
            meet(cluster)
        return Replicas(_multi_worker(), cluster.index, len(cluster.addresses))
    if wanted == "auto" and len(tf.config.list_physical_devices("GPU")) > 1:
        return Replicas(tf.distribute.MirroredStrategy())
    return alone()


def _multi_worker() -> tf.distribute.Strategy:
    """The strategy of TF_CONFIG; SIGTERM stays with whom it was, though TensorFlow takes it for itself and stays deaf."""
    handler = signal.getsignal(signal.SIGTERM)
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=SILENCE_SECONDS)
    strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
    return strategy


def reduce_once(optimizer: keras.optimizers.Optimizer) -> None:
    """Let an optimizer take gradients as they are.

    In a replica Keras' optimizers sum the gradients of all replicas themselves, but only after they were clipped and
    searched for infinities: what each replica clips is then its own gradient, and not the batch's. `Replicas.mean`
    comes before both.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner._all_reduce_sum_gradients = lambda pairs: pairs


@contextmanager
def synchronised(model: keras.Model, replicas: Replicas, accumulate: int) -> Iterator[None]:
    """Meanwhile every batch normalisation normalises by the rows of all replicas together, as one device would.

    Raises UsageError for batches in several parts: within TensorFlow's loop over them replicas cannot exchange anything.
    """
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    before = [norm.synchronized for norm in norms]
    if norms and accumulate > 1 and replicas.count > 1:
        raise UsageError(f"accumulate: {accumulate} is not for batch normalisation on {replicas.count} devices: set accumulate: 1")
    for norm in norms:
        norm.synchronized = norm.synchronized or replicas.count > 1
    try:
        yield
    finally:
        for norm, was in zip(norms, before, strict=True):
            norm.synchronized = was
