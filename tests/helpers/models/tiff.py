"""TIFF files as cameras, scanners and scientific programs write them, which Pillow reads but does not write."""

import struct

import numpy as np

_SHORT, _LONG, _FLOAT = 3, 4, 11
_LAYOUTS = {_SHORT: "H", _LONG: "I", _FLOAT: "f"}
UNSIGNED, SIGNED, FLOATING = 1, 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2


def write_tiff(path, samples, bits=None, photometric=None, lowest=None, highest=None):
    """Write samples (H, W) or (H, W, 3) of any type, uncompressed; `lowest` and `highest` are stated as their range.

    `bits` may be 12, in which two samples share three bytes.
    """
    height, width, *channels = samples.shape
    count = channels[0] if channels else 1
    kind = {"u": UNSIGNED, "i": SIGNED, "f": FLOATING}[samples.dtype.kind]
    whole = samples.astype(samples.dtype.newbyteorder("<"))
    data = (_packed_12_bits(samples) if bits == 12 else whole).tobytes()
    fields = {
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [bits or 8 * samples.dtype.itemsize] * count),
        259: (_SHORT, [1]),
        262: (_SHORT, [(RGB if channels else BLACK_IS_ZERO) if photometric is None else photometric]),
        273: (_LONG, [8]),
        277: (_SHORT, [count]),
        278: (_LONG, [height]),
        279: (_LONG, [len(data)]),
        339: (_SHORT, [kind] * count),
    }
    of_range = _FLOAT if kind == FLOATING else _LONG
    stated = {340: lowest, 341: highest}
    fields |= {tag: (of_range, [value] * count) for tag, value in stated.items() if value is not None}
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + _directory(fields, 8 + len(data)))


def _packed_12_bits(samples):
    first, second = samples[:, ::2].astype(int), samples[:, 1::2].astype(int)
    parts = [first >> 4, (first & 15) << 4 | second >> 8, second & 255]
    return np.stack(parts, axis=-1).reshape(len(samples), -1).astype(np.uint8)


def _directory(fields, start):
    entries, beyond = b"", b""
    free = start + 2 + 12 * len(fields) + 4
    for tag, (layout, values) in sorted(fields.items()):
        raw = struct.pack(f"<{len(values)}{_LAYOUTS[layout]}", *values)
        if len(raw) > 4:
            raw, beyond = struct.pack("<I", free + len(beyond)), beyond + raw
        entries += struct.pack("<HHI", tag, layout, len(values)) + raw.ljust(4, b"\0")
    return struct.pack("<H", len(fields)) + entries + struct.pack("<I", 0) + beyond
