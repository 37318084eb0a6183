"""Image restoration: data, training, evaluation and application of image-to-image networks."""
