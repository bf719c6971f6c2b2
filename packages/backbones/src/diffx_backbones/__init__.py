"""Networks: an MLP for vectors, a U-Net and transformers for images."""
