import { formatIpv4, formatMac, formatPrefix } from "../wire/address.ts";
import type { DockerHost, DockerNetwork } from "./model.ts";

/** `GET /networks/ID`. */
export function networkValue(host: DockerHost, network: DockerNetwork): object {
  const { ipam } = network;
  const major = Number.parseInt(host.engine.version, 10);
  const config =
    ipam === null
      ? null
      : [
          {
            Subnet: formatPrefix(ipam.subnet),
            ...(ipam.range === null ? {} : { IPRange: formatPrefix(ipam.range) }),
            ...(ipam.gateway === null ? {} : { Gateway: formatIpv4(ipam.gateway) }),
            ...(ipam.auxiliary.size === 0
              ? {}
              : {
                  AuxiliaryAddresses: Object.fromEntries(
                    [...ipam.auxiliary].map(([name, address]) => [name, formatIpv4(address)]),
                  ),
                }),
          },
        ];
  return {
    Name: network.name,
    Id: network.id,
    Created: new Date(network.created / 1e6).toISOString(),
    Scope: "local",
    Driver: network.driver,
    ...(major >= 28 ? { EnableIPv4: true } : {}),
    EnableIPv6: false,
    IPAM: { Driver: "default", Options: network.name === "bridge" || ipam === null ? null : {}, Config: config },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: Object.fromEntries(members(host, network)),
    Options: networkOptions(network),
    Labels: Object.fromEntries(network.labels),
  };
}

function members(host: DockerHost, network: DockerNetwork): [string, object][] {
  const found: [string, object][] = [];
  for (const { id, name, endpoints, state } of host.containers.values())
    for (const endpoint of state === "running" ? endpoints : [])
      if (endpoint.network.id === network.id)
        found.push([
          id,
          {
            Name: name,
            EndpointID: endpoint.id,
            MacAddress: formatMac(endpoint.mac.high, endpoint.mac.low),
            IPv4Address: `${formatIpv4(endpoint.address)}/${endpoint.length}`,
            IPv6Address: "",
          },
        ]);
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Of the default bridge Docker lists what it was made with; of others, what was asked for. */
function networkOptions(network: DockerNetwork): object {
  if (network.name !== "bridge") return Object.fromEntries([...network.options].sort(([a], [b]) => (a < b ? -1 : 1)));
  const option = (name: string) => `com.docker.network.bridge.${name}`;
  return {
    [option("default_bridge")]: "true",
    [option("enable_icc")]: String(network.icc),
    [option("enable_ip_masquerade")]: String(network.masquerade),
    [option("host_binding_ipv4")]: "0.0.0.0",
    [option("name")]: network.device,
    "com.docker.network.driver.mtu": String(network.mtu),
  };
}
