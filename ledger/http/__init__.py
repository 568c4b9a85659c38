"""The node's HTTP door (docs/spec/http.md): ``server.serve_node`` runs it, ``app`` routes, ``access`` says who may ask what."""
