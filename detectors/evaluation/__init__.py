"""The honest protocol: how often the detectors are right on labelled pictures that they were not fitted on."""
