"""Tensors in, tensors out: masking, encoder, pretraining heads and regressor (torch only)."""
