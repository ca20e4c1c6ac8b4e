import { formatIpv4, formatMac, formatPrefix } from "../wire/address.ts";
import { type Container, commandOf, type DockerHost, type DockerNetwork, type Endpoint } from "./model.ts";

/** A container in the answer to `GET /containers/json`. */
export function containerSummary(container: Container): object {
  const { id, name, image, created, state, labels, networkMode, ports } = container;
  return {
    Id: id,
    Names: [`/${name}`],
    Image: image,
    Command: commandOf(container),
    Created: Math.floor(created / 1e9),
    Ports: ports.map(({ hostAddress, hostPort, containerPort, protocol }) => ({
      IP: hostAddress,
      PrivatePort: containerPort,
      PublicPort: hostPort,
      Type: protocol,
    })),
    Labels: Object.fromEntries(labels),
    State: state,
    HostConfig: { NetworkMode: networkMode },
    NetworkSettings: { Networks: endpointValues(container) },
  };
}

/** `GET /containers/ID/json`. */
export function containerValue(container: Container): object {
  const { id, name, image, hostname, created, state, labels, networkMode, environment, processes } = container;
  return {
    Id: id,
    Created: new Date(created / 1e6).toISOString(),
    State: { Status: state, Running: state === "running", Pid: processes[0]?.pid ?? 0 },
    Name: `/${name}`,
    HostConfig: { NetworkMode: networkMode },
    Config: {
      Hostname: hostname,
      Env: [...environment].map(([key, value]) => `${key}=${value}`),
      Image: image,
      Labels: Object.fromEntries(labels),
    },
    NetworkSettings: { Ports: portValues(container), Networks: endpointValues(container) },
  };
}

function portValues({ ports, exposed }: Container): object {
  const found: Record<string, object[] | null> = {};
  for (const port of exposed) found[port] = null;
  for (const { containerPort, protocol, hostAddress, hostPort } of ports) {
    const port = `${containerPort}/${protocol}`;
    found[port] = [...(found[port] ?? []), { HostIp: hostAddress, HostPort: String(hostPort) }];
  }
  return found;
}

const endpointValues = ({ endpoints }: Container): object =>
  Object.fromEntries(
    [...endpoints]
      .sort((a, b) => (a.network.name < b.network.name ? -1 : 1))
      .map((endpoint) => [endpoint.network.name, endpointValue(endpoint)]),
  );

const endpointValue = ({ id, network, address, length, gateway, mac, aliases, dnsNames }: Endpoint): object => ({
  NetworkID: network.id,
  EndpointID: id,
  Gateway: gateway === null ? "" : formatIpv4(gateway),
  IPAddress: formatIpv4(address),
  IPPrefixLen: length,
  MacAddress: formatMac(mac.high, mac.low),
  Aliases: aliases,
  DNSNames: dnsNames,
});

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
