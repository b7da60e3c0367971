"""The compact generalized non-local operation (Yue et al., NeurIPS 2018)."""
