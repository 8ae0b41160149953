"""ResNet-18 in NumPy, from tensors with torchvision's or Gluon's names, as a reference for ours."""

import struct

import numpy as np

EPSILON = 1e-5
SUFFIXES = {"torchvision": ("weight", "bias"), "gluon": ("gamma", "beta")}
STAGES = [(1, 64), (2, 128), (3, 256), (4, 512)]


def convolve(x, kernel, stride):
    """Returns the cross-correlation of [H, W, C] with [k, k, C, F], with zero padding of k // 2 on all sides."""
    size = kernel.shape[0]
    padded = np.pad(x, [(size // 2,) * 2, (size // 2,) * 2, (0, 0)])
    rows = range(0, padded.shape[0] - size + 1, stride)
    columns = range(0, padded.shape[1] - size + 1, stride)
    windows = [[np.tensordot(padded[r : r + size, c : c + size], kernel, 3) for c in columns] for r in rows]
    return np.array(windows)


def max_pool(x):
    """Returns max pooling with 3x3 windows and stride 2; the padding is never the maximum."""
    padded = np.pad(x, [(1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    rows, columns = range(0, x.shape[0], 2), range(0, x.shape[1], 2)
    return np.array([[padded[r : r + 3, c : c + 3].max((0, 1)) for c in columns] for r in rows])


class Tensors:
    """Random tensors of a ResNet-18 by name, created when the forward pass below first uses them."""

    def __init__(self, names, seed=0):
        self.names, self.rng, self.found = names, np.random.default_rng(seed), {}

    def get(self, name, shape, draw):
        if name not in self.found:
            self.found[name] = draw(size=shape).astype(np.float32)
        return self.found[name]

    def convolve(self, x, name, filters, size, stride):
        shape = (filters, x.shape[-1], size, size)
        scale = np.sqrt(2 / (x.shape[-1] * size * size))
        kernel = self.get(f"{name}.weight", shape, lambda size: scale * self.rng.normal(size=size))
        return convolve(x, kernel.transpose(2, 3, 1, 0), stride)

    def batch_norm(self, x, name, is_fixed=False):
        channels, (gamma, beta) = x.shape[-1:], SUFFIXES[self.names]
        uniform = lambda size: self.rng.uniform(0.5, 1.5, size)  # noqa: E731
        normal = lambda size: self.rng.normal(0, 0.2, size)  # noqa: E731
        scale = self.get(f"{name}.{gamma}", channels, (lambda size: np.ones(size)) if is_fixed else uniform)
        shift = self.get(f"{name}.{beta}", channels, (lambda size: np.zeros(size)) if is_fixed else normal)
        mean = self.get(f"{name}.running_mean", channels, normal)
        variance = self.get(f"{name}.running_var", channels, uniform)
        return (x - mean) / np.sqrt(variance + EPSILON) * scale + shift


def relu(x):
    return np.maximum(x, 0)


def resnet18_v1(x, seed=0):
    """Returns the features at strides 8, 16, 32 of [H, W, 3], and the tensors with torchvision's names."""
    tensors, features = Tensors("torchvision", seed), []
    x = max_pool(relu(tensors.batch_norm(tensors.convolve(x, "conv1", 64, 7, 2), "bn1")))
    for stage, filters in STAGES:
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            shortcut = x
            y = relu(tensors.batch_norm(tensors.convolve(x, f"{name}.conv1", filters, 3, stride), f"{name}.bn1"))
            y = tensors.batch_norm(tensors.convolve(y, f"{name}.conv2", filters, 3, 1), f"{name}.bn2")
            if stride == 2:
                shortcut = tensors.convolve(x, f"{name}.downsample.0", filters, 1, 2)
                shortcut = tensors.batch_norm(shortcut, f"{name}.downsample.1")
            x = relu(y + shortcut)
        features.append(x)
    found = tensors.found
    counts = {name.replace("running_mean", "num_batches_tracked"): np.array(5) for name in found if "_mean" in name}
    return features[1:], {**found, **counts, "fc.weight": np.ones((10, 512), "f"), "fc.bias": np.ones(10, "f")}


def resnet18_v2(x, seed=0):
    """Returns the features at strides 8, 16, 32 of [H, W, 3], and the tensors with Gluon's names."""
    tensors, features = Tensors("gluon", seed), []
    x = tensors.batch_norm(x, "features.0", is_fixed=True)
    x = max_pool(relu(tensors.batch_norm(tensors.convolve(x, "features.1", 64, 7, 2), "features.2")))
    for stage, filters in STAGES:
        for block in (0, 1):
            name, stride = f"features.{stage + 4}.{block}", 2 if stage > 1 and block == 0 else 1
            activated = relu(tensors.batch_norm(x, f"{name}.bn1"))
            features += [activated] if stage > 2 and block == 0 else []
            y = tensors.convolve(activated, f"{name}.conv1", filters, 3, stride)
            y = tensors.convolve(relu(tensors.batch_norm(y, f"{name}.bn2")), f"{name}.conv2", filters, 3, 1)
            x = y + (tensors.convolve(activated, f"{name}.downsample", filters, 1, 2) if stride == 2 else x)
    features.append(relu(tensors.batch_norm(x, "features.9")))
    return features, {**tensors.found, "output.weight": np.ones((10, 512), "f"), "output.bias": np.ones(10, "f")}


def mxnet_file(tensors, version=0xF993FAC9, prefix="", kind=0):
    """Returns the bytes of MXNet's list of named arrays."""
    parts = [struct.pack("<QQQ", 0x112, 0, len(tensors))]
    for tensor in tensors.values():
        storage = b"" if version == 0xF993FAC8 else struct.pack("<i", 0)
        shape = struct.pack(f"<I{tensor.ndim}q", tensor.ndim, *tensor.shape)
        parts += [struct.pack("<I", version), storage, shape, struct.pack("<iii", 1, 0, kind), tensor.tobytes()]
    names = [f"{prefix}{name}".encode() for name in tensors]
    return b"".join([*parts, struct.pack("<Q", len(names)), *(struct.pack("<Q", len(n)) + n for n in names)])
