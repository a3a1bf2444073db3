"""How the cluster is run: in containers (compose.yaml) or, without Docker, as processes of this machine."""
