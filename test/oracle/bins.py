"""Golden data for test/model: numpy's binning, as OpenVLA and Magma use it.

    python test/oracle/bins.py test/golden/bins.json

Values (shortest decimals that read back to the same doubles): every edge, its neighbours below and above, and seeded
random numbers, some outside -1 ... 1.
"""

import json
import sys

import numpy as np

bins = np.linspace(-1, 1, 256)
centres = (bins[:-1] + bins[1:]) / 2
near = np.concatenate([bins, np.nextafter(bins, -2), np.nextafter(bins, 2)])
values = np.concatenate([near, np.random.default_rng(7).uniform(-1.2, 1.2, 300)])
k = np.digitize(np.clip(values, -1.0, 1.0), bins)
golden = {
    "numpy": np.__version__,
    "values": values.tolist(),
    "k": k.tolist(),
    "centres": centres.tolist(),
}
with open(sys.argv[1], "w") as file:
    json.dump(golden, file)
    file.write("\n")
