"""How fast this machine multiplies at this moment, to print beside what was measured meanwhile."""

import time

import tensorflow as tf

SIDE, TIMES = 2048, 8


def gauge() -> float:
    """GFLOP of a bfloat16 matrix product a CPU second."""
    matrix = tf.cast(tf.random.normal((SIDE, SIDE)), tf.bfloat16)
    product = tf.function(lambda a: tf.matmul(a, a))
    product(matrix)
    start = time.process_time()
    for _ in range(TIMES):
        product(matrix)
    return float(TIMES * 2 * SIDE**3 / (time.process_time() - start) / 1e9)
