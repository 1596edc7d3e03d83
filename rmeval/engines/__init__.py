"""Rewards from an engine that runs elsewhere: vLLM, SGLang, TEI, OpenRLHF, rmeval's own server.

rmeval renders, cuts and tokenises (`model.EngineModel`), `client.EngineClient` asks and asks again,
and one file for each engine knows its requests and answers (`protocol`, and beside it).
`handshake` is what is found out before the first row. `parity` says whether what is served is what
was evaluated, and why not: `asking` tries every way, `parity_file` is for models that do not fit.
"""
