"""One recipe with several objectives, or several values of a setting: planned together, run apart, measured alike."""
