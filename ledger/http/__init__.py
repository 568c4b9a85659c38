"""The node's HTTP interface (docs/spec/http.md): ``server.serve_node`` runs it, ``routes`` lists its routes, ``roles`` says who may ask what."""
