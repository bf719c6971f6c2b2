"""What metrics are measured on: what a network finds in examples.

`Values` and `RandomConv` need no weights, `Classifier` is trained on the real data, and `Inception`
and `DinoV2` take weights from files of the user's.
"""
