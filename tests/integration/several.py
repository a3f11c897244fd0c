"""A cluster with a second instance of some services."""
import os

from cluster import BUILD, Cluster, http_get


class Several(Cluster):
    """A cluster with a second instance of some services, named gateway2, presence2 ...; their ports are at base + 9 and on."""

    EXTRA = {"presence2": 9, "message2": 10, "gateway2": 11, "api2": 12}

    def command(self, name):
        if name not in self.EXTRA:
            return super().command(name)
        return [os.path.join(BUILD, "pigeon-" + name[:-1]), "--config", os.path.join(self.data, "pigeon.yaml")]

    def ready(self, name):
        return super().ready(name) if name not in self.EXTRA else http_get(self.base + self.EXTRA[name], "/readyz")[0] == 200

    def start(self, *names, wait=True, env=None):
        for name in names:
            more = {}
            if name in self.EXTRA:
                service = name[:-1].upper()
                more[f"PIGEON_{service}_ADMIN_PORT"] = str(self.base + self.EXTRA[name])
                if name in ("gateway2", "api2"):
                    more[f"PIGEON_{service}_PORT"] = str(self.base + (13 if name == "gateway2" else 14))
            super().start(name, wait=wait, env={**more, **(env or {})})
            if name not in self.services and name in self.EXTRA:
                self.services.append(name)
        return self

    def ws_url_of(self, gateway):
        return f"ws://127.0.0.1:{self.base + (2 if gateway == 'gateway' else 13)}/v1/ws"

    def metrics(self, name):
        return self.metrics_at(self.base + self.EXTRA[name]) if name in self.EXTRA else super().metrics(name)
