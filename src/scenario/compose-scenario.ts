import { stringify } from "yaml";

/**
 * A scenario around a compose file: a host with Docker in a network with one neighbour, and a router to one server of the
 * internet. `path` is the compose file's, from the scenario's folder.
 */
export function scenarioAround(path: string, engine: string | null): string {
  return stringify({
    title: path,
    namespaces: {
      host: {
        devices: { eth0: { addresses: ["192.168.1.10/24"] } },
        routes: ["default via 192.168.1.1"],
        files: { "/etc/resolv.conf": "nameserver 192.168.1.1\n" },
      },
      lan: { devices: { eth0: { addresses: ["192.168.1.50/24"] } }, routes: ["default via 192.168.1.1"] },
      router: {
        devices: {
          br0: { type: "bridge", addresses: ["192.168.1.1/24"] },
          port1: { master: "br0" },
          port2: { master: "br0" },
          wan: { addresses: ["198.51.100.2/24"] },
        },
        routes: ["default via 198.51.100.1"],
        sysctls: { "net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 0 },
        rules: "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n",
      },
      internet: {
        devices: { eth0: { addresses: ["198.51.100.1/24", "203.0.113.10/32"] } },
      },
    },
    links: [
      { ends: ["host/eth0", "router/port1"] },
      { ends: ["lan/eth0", "router/port2"] },
      { ends: ["router/wan", "internet/eth0"] },
    ],
    docker: { ...(engine === null ? {} : { engine }), compose: path },
  });
}
