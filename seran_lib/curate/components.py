"""What hangs together: used wherever pairs of pictures, records or groups become clusters."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def components(ends: np.ndarray, other_ends: np.ndarray, nodes: int) -> np.ndarray:
    """A number for each node, equal for nodes joined over any number of edges from ``ends[i]`` to ``other_ends[i]``."""
    edges = coo_array((np.ones(len(ends)), (ends, other_ends)), shape=(nodes, nodes))
    return connected_components(edges, directed=False)[1]
