"""Numbers that say how good generated examples are, and the features that they are measured on."""
