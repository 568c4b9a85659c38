"""The shared vocabulary: canonical bytes, SM2/SM3/SM4, Merkle proofs, errors, configuration. Imports nothing else of ours."""
