"""How rewards are computed: plan, forward, one loop, and the store that loses nothing.

Padding, truncation, batching, order, precision and finiteness are decided here, once.
"""
