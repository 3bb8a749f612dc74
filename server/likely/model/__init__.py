"""The only importer of torch and transformers: weights, forward passes, log-probabilities."""
