"""Evidence from the statistics of pixels: spectrum, up-sampling traces, noise, co-occurrences, block grid."""
