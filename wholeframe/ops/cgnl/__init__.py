"""The generalized non-local operation (Yue et al., NeurIPS 2018).

`dense` is the definition in quadratic time; `compact` computes it in linear time.
"""
