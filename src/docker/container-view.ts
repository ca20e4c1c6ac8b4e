import { formatIpv4, formatMac } from "../wire/address.ts";
import { type Engine, isBefore } from "./engine.ts";
import { hostConfigValue, sorted } from "./host-config.ts";
import { type Container, commandOf, type DockerHost, type Endpoint, wordsOf } from "./model.ts";

/** A moment that was not yet. */
export const NEVER = "0001-01-01T00:00:00Z";

/** Where dockerd keeps what it knows of a container. */
export const containerFolder = ({ id }: Container): string => `/var/lib/docker/containers/${id}`;

/** As Go prints it: nine digits, without noughts at the end. */
export function moment(nanoseconds: number): string {
  const fraction = String(Math.round(nanoseconds % 1e9))
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${new Date(Math.floor(nanoseconds / 1e9) * 1000).toISOString().slice(0, 19)}${fraction === "" ? "" : `.${fraction}`}Z`;
}

/** A container in the answer to `GET /containers/json`. */
export function containerSummary(container: Container, { engine }: DockerHost): object {
  const { id, name, image, created, state, labels, networkMode, ports, exposed } = container;
  const open = exposed.filter(
    (each) => !ports.some(({ containerPort, protocol }) => each === `${containerPort}/${protocol}`),
  );
  return {
    Id: id,
    Names: [`/${name}`],
    Image: image,
    ImageID: `sha256:${container.imageId}`,
    Command: commandOf(container),
    Created: Math.floor(created / 1e9),
    Ports: [
      ...ports.map(({ hostAddress, hostPort, containerPort, protocol }) => ({
        IP: hostAddress,
        PrivatePort: containerPort,
        PublicPort: hostPort,
        Type: protocol,
      })),
      ...(state === "running" ? open : []).map((each) => {
        const [port, Type] = each.split("/");
        return { PrivatePort: Number(port), Type };
      }),
    ],
    Labels: Object.fromEntries(labels),
    State: state,
    HostConfig: { NetworkMode: networkMode },
    NetworkSettings: { Networks: networksValue(container, engine) },
  };
}

/** `GET /containers/ID/json`. Unlike Docker's it has no GraphDriver, for there are no layers here. */
export function containerValue(container: Container, { engine }: DockerHost): object {
  const { id, name, state, started, finished, processes, created, imageId, spec } = container;
  const [path = "", ...rest] = wordsOf(container);
  const folder = containerFolder(container);
  const file = (leaf: string) => (started === null ? "" : `${folder}/${leaf}`);
  return {
    Id: id,
    Created: moment(created),
    Path: path,
    Args: rest,
    State: {
      Status: state,
      Running: state === "running",
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: processes[0]?.pid ?? 0,
      ExitCode: 0,
      Error: "",
      StartedAt: started === null ? NEVER : moment(started),
      FinishedAt: finished === null ? NEVER : moment(finished),
    },
    Image: `sha256:${imageId}`,
    ResolvConfPath: file("resolv.conf"),
    HostnamePath: file("hostname"),
    HostsPath: file("hosts"),
    LogPath: file(`${id}-json.log`),
    Name: `/${name}`,
    RestartCount: 0,
    Driver: isBefore(engine, 29) ? "overlay2" : "overlayfs",
    ...(isBefore(engine, 18) ? {} : { Platform: "linux" }),
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: hostConfigValue(container, engine),
    Mounts: spec.binds.map(({ source, target, readOnly }) => ({
      Type: "bind",
      Source: source,
      Destination: target,
      Mode: readOnly ? "ro" : "",
      RW: !readOnly,
      Propagation: "rprivate",
    })),
    Config: configValue(container),
    NetworkSettings: networkSettings(container, engine),
  };
}

/** `Config`: what does not depend on the host. */
export function configValue(container: Container): object {
  const { hostname, terminal, entrypoint, environment, image, labels, exposed, spec } = container;
  const ports = [...spec.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`), ...exposed];
  const { arguments: command } = container;
  return {
    Hostname: hostname,
    Domainname: "",
    User: "",
    AttachStdin: terminal.attached && terminal.stdin,
    AttachStdout: terminal.attached,
    AttachStderr: terminal.attached,
    ...(ports.length > 0 ? { ExposedPorts: sorted(Object.fromEntries(ports.map((port) => [port, {}]))) } : {}),
    Tty: terminal.tty,
    OpenStdin: terminal.stdin,
    StdinOnce: terminal.attached && terminal.stdin,
    Env: [...environment].map(([key, value]) => `${key}=${value}`),
    Cmd: command.length > 0 ? command : null,
    Image: image,
    Volumes: null,
    WorkingDir: "",
    Entrypoint: entrypoint.length > 0 ? entrypoint : null,
    OnBuild: null,
    Labels: sorted(Object.fromEntries(labels)),
  };
}

/** Since 29 (API 1.52) an address stands with its network alone. */
function networkSettings(container: Container, engine: Engine): object {
  const { state, sandboxId } = container;
  const running = state === "running";
  const id = { SandboxID: running ? sandboxId : "" };
  const key = { SandboxKey: running ? `/var/run/docker/netns/${sandboxId.slice(0, 12)}` : "" };
  const Ports = portValues(container);
  const Networks = networksValue(container, engine);
  if (!isBefore(engine, 29)) return { ...id, ...key, Ports, Networks };
  const bridge = container.endpoints.find(({ network }) => network.name === "bridge");
  const local = { HairpinMode: false, LinkLocalIPv6Address: "", LinkLocalIPv6PrefixLen: 0 };
  const first = isBefore(engine, 25) ? { ...id, ...local, Ports, ...key } : { ...id, ...key, Ports, ...local };
  return {
    Bridge: "",
    ...first,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.id ?? "",
    Gateway: bridge === undefined ? "" : gatewayOf(bridge),
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    IPAddress: bridge === undefined ? "" : formatIpv4(bridge.address),
    IPPrefixLen: bridge?.length ?? 0,
    IPv6Gateway: "",
    MacAddress: bridge === undefined ? "" : formatMac(bridge.mac.high, bridge.mac.low),
    Networks,
  };
}

function portValues({ ports, exposed, state }: Container): object {
  const found: Record<string, object[] | null> = {};
  if (state !== "running") return found;
  for (const port of exposed) found[port] = null;
  for (const { containerPort, protocol, hostAddress, hostPort } of ports) {
    const port = `${containerPort}/${protocol}`;
    found[port] = [...(found[port] ?? []), { HostIp: hostAddress, HostPort: String(hostPort) }];
  }
  return sorted(found);
}

/** Each network by its name, with what the container has there; one that does not run has nothing. */
function networksValue(container: Container, engine: Engine): Record<string, object> {
  const joined = container.endpoints.map(
    (endpoint) => [endpoint.network.name, endpointValue(endpoint, container.id, engine)] as const,
  );
  const asked = joined.length === 0 ? container.attachments : [];
  const waiting = asked.map(({ network, aliases }) => [network.text, settings({ aliases }, engine)] as const);
  return sorted(Object.fromEntries([...joined, ...waiting]));
}

const gatewayOf = ({ gateway }: Endpoint): string => (gateway === null ? "" : formatIpv4(gateway));

/** Until 24 the short ID was an alias on networks of the user's. */
function endpointValue(endpoint: Endpoint, containerId: string, engine: Engine): object {
  const { id, network, address, length, mac, aliases, dnsNames, gatewayPriority } = endpoint;
  return settings(
    {
      NetworkID: network.id,
      EndpointID: id,
      Gateway: gatewayOf(endpoint),
      IPAddress: formatIpv4(address),
      IPPrefixLen: length,
      MacAddress: formatMac(mac.high, mac.low),
      GwPriority: gatewayPriority,
      DNSNames: dnsNames.length > 0 ? dnsNames : null,
      aliases: isBefore(engine, 25) && network.name !== "bridge" ? [...aliases, containerId.slice(0, 12)] : aliases,
    },
    engine,
  );
}

interface Settings {
  readonly NetworkID?: string;
  readonly EndpointID?: string;
  readonly Gateway?: string;
  readonly IPAddress?: string;
  readonly IPPrefixLen?: number;
  readonly MacAddress?: string;
  readonly GwPriority?: number;
  readonly DNSNames?: readonly string[] | null;
  readonly aliases: readonly string[];
}

/** `network.EndpointSettings`, whose order and fields changed with 25, 27 and 28. */
function settings(given: Settings, engine: Engine): object {
  const { NetworkID = "", EndpointID = "", Gateway = "", IPAddress = "", IPPrefixLen = 0, MacAddress = "" } = given;
  const { GwPriority = 0, DNSNames = null, aliases } = given;
  const before = (major: number) => isBefore(engine, major);
  const mac = { MacAddress };
  return {
    IPAMConfig: null,
    Links: null,
    Aliases: aliases.length > 0 ? aliases : null,
    ...(before(25) ? {} : mac),
    ...(before(27) ? {} : { DriverOpts: null }),
    ...(before(28) ? {} : { GwPriority }),
    NetworkID,
    EndpointID,
    Gateway,
    IPAddress,
    IPPrefixLen,
    IPv6Gateway: "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    ...(before(25) ? mac : {}),
    ...(before(18) || !before(27) ? {} : { DriverOpts: null }),
    ...(before(25) ? {} : { DNSNames }),
  };
}

/** `NetworkSettings` as 17.05 keeps them in a file. */
export function storedNetworks(container: Container, engine: Engine): object {
  const { state, sandboxId } = container;
  const running = state === "running";
  const stored = Object.entries(networksValue(container, engine)).map(([name, value]) => [
    name,
    { ...value, IPAMOperational: false },
  ]);
  return {
    Bridge: "",
    SandboxID: running ? sandboxId : "",
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    Networks: Object.fromEntries(stored),
    Service: null,
    Ports: running ? portValues(container) : null,
    SandboxKey: running ? `/var/run/docker/netns/${sandboxId.slice(0, 12)}` : "",
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    IsAnonymousEndpoint: false,
    HasSwarmEndpoint: false,
  };
}
