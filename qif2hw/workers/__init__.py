"""Where work is done: in this process, in several, on a Dask cluster, or shard by shard over files.

Results do not depend on it, bit for bit.
"""

from qif2hw.workers.pool import Workers, workers
from qif2hw.workers.shards import UNIT, Shard, shared, split

__all__ = ["UNIT", "Shard", "Workers", "shared", "split", "workers"]
