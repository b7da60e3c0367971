"""The non-local operation (Wang et al., CVPR 2018)."""
