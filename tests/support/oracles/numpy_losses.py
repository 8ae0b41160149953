"""The losses by their definitions, pixel by pixel, in NumPy alone."""

import itertools

import numpy as np

VOID = 255


def softmax(logits):
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def numpy_cross_entropy(labels, logits, class_weights=None, label_smoothing=0.0, hardest=1.0):
    """Pixel by pixel, image by image, from the definitions."""
    total, count = 0.0, 0.0
    for label, probabilities in zip(labels, softmax(logits)):
        pixels = []
        for p, k in zip(probabilities.reshape(-1, logits.shape[-1]), label.ravel()):
            if k != VOID:
                truth = np.full(len(p), label_smoothing / len(p))
                truth[k] += 1 - label_smoothing
                weight = 1 if class_weights is None else class_weights[k]
                pixels.append((-(truth * np.log(p)).sum(), weight))
        kept = max(1, round(hardest * len(pixels)))
        for loss, weight in sorted(pixels, reverse=True)[:kept]:
            total, count = total + weight * loss, count + weight
    return total, count


def numpy_dice(labels, logits):
    total, count = 0.0, 0
    for label, probabilities in zip(labels, softmax(logits)):
        valid = label != VOID
        of_classes = []
        for k in np.unique(label[valid]):
            p, g = probabilities[..., k][valid], label[valid] == k
            of_classes.append(1 - 2 * (p * g).sum() / ((p**2).sum() + (g**2).sum()))
        total, count = total + np.sum(of_classes) / max(1, len(of_classes)), count + valid.any()
    return total, count


def numpy_lovasz(labels, logits):
    """From the definition as Choquet's integral: over all thresholds, the Jaccard loss of what errs by more."""
    total, count = 0.0, 0
    for label, probabilities in zip(labels, softmax(logits)):
        valid = label != VOID
        of_classes = []
        for k in np.unique(label[valid]):
            truth = label[valid] == k
            errors = np.abs(truth - probabilities[..., k][valid])
            integral = 0.0
            for lower, upper in itertools.pairwise([0, *np.unique(errors)]):
                wrong = errors > (lower + upper) / 2
                integral += (upper - lower) * wrong.sum() / (truth | wrong).sum()
            of_classes.append(integral)
        total, count = total + np.sum(of_classes) / max(1, len(of_classes)), count + valid.any()
    return total, count


def numpy_parts(loss, labels, logits):
    options = (loss.class_weights, loss.label_smoothing, loss.ohem)
    one_by_one = {
        "cross_entropy": lambda *batch: numpy_cross_entropy(*batch, *options),
        "dice": numpy_dice,
        "lovasz": numpy_lovasz,
    }
    return np.transpose([one_by_one[term](labels, logits) for term in loss.terms])


def numpy_loss(loss, labels, logits):
    sums, normalizers = numpy_parts(loss, labels, logits)
    return (sums / np.maximum(normalizers, 1)).sum()
