"""All harnesses, by their names."""

import fuzz_annotations
import fuzz_classes
import fuzz_images
import fuzz_requests
import fuzz_weights

HARNESSES = {
    **fuzz_images.HARNESSES,
    **fuzz_weights.HARNESSES,
    **fuzz_classes.HARNESSES,
    **fuzz_annotations.HARNESSES,
    **fuzz_requests.HARNESSES,
}
