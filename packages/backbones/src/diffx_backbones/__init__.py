"""Networks: an MLP for vectors, a U-Net and a transformer for images."""
