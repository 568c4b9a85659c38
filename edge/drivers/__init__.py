"""One module per protocol that meters speak. Third-party protocol libraries are used nowhere else in ``edge``."""
