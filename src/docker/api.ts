import { z } from "zod";
import { parseImage } from "../program/image.ts";
import { formatIpv4, formatMac, formatPrefix, parseIpv4, parseMac, parsePrefix } from "../wire/address.ts";
import {
  type AttachmentSpec,
  type Command,
  type ContainerNetworking,
  type ContainerSpec,
  type NetworkSpec,
  type PortSpec,
  parseBind,
  parseExtraHost,
  parsePort,
  readWord,
  refuse,
  type Word,
} from "./command.ts";
import { portBindings, restartPolicy } from "./host-config.ts";

/** One call of Docker's HTTP API; `{id}` in a path stands for the ID that the call before it answered. */
export interface ApiCall {
  readonly method: "GET" | "HEAD" | "POST" | "DELETE";
  /** Without the version. */
  readonly path: string;
  readonly body: string | null;
}

/** The annotation that names a container's namespace, where it is not the container's name. */
export const NAMESPACE_ANNOTATION = "hopscope.namespace";

/** JSON in ASCII alone. */
export const formatJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** What the command line client asks for. */
export function callsOf(command: Command): ApiCall[] {
  const call = (method: ApiCall["method"], path: string, body: unknown = null): ApiCall => ({
    method,
    path,
    body: body === null ? null : formatJson(body),
  });
  const name = ({ text }: Word) => encodeURIComponent(text);
  switch (command.kind) {
    case "network-create":
      return [call("POST", "/networks/create", writeNetwork(command.network))];
    case "network-external":
      return [call("GET", `/networks/${name(command.network)}`)];
    case "network-remove":
      return command.networks.map((network) => call("DELETE", `/networks/${name(network)}`));
    case "connect": {
      const { container } = command;
      const body = { Container: container.text, EndpointConfig: writeAttachment(command.attachment) };
      return [call("POST", `/networks/${name(command.attachment.network)}/connect`, body)];
    }
    case "disconnect": {
      const body = { Container: command.container.text, Force: false };
      return [call("POST", `/networks/${name(command.network)}/disconnect`, body)];
    }
    case "create": {
      const { container, start } = command;
      const create = call("POST", `/containers/create?name=${name(container.name)}`, writeContainer(container));
      return start ? [create, call("POST", "/containers/{id}/start")] : [create];
    }
    case "remove":
      return command.containers.map((container) => call("DELETE", `/containers/${name(container)}?force=1`));
    case "pull": {
      const { image, tag } = parseImage(command.image.text);
      return [call("POST", `/images/create?fromImage=${encodeURIComponent(image)}&tag=${encodeURIComponent(tag)}`)];
    }
    default:
      return command.containers.flatMap((container) => {
        const path = `/containers/${name(container)}`;
        const change = call("POST", `${path}/${command.kind}`);
        return command.attached === true ? [change, call("POST", `${path}/wait`)] : [change];
      });
  }
}

// Containers.

function writeContainer(spec: ContainerSpec): object {
  const { networking, ports, exposed } = spec;
  const published = portBindings(ports);
  const attachments = networking.kind === "networks" ? networking.attachments : [];
  return {
    Hostname: spec.hostname ?? "",
    Env: [...spec.environment].map(([key, value]) => `${key}=${value}`),
    AttachStdin: spec.terminal.attached && spec.terminal.stdin,
    AttachStdout: spec.terminal.attached,
    AttachStderr: spec.terminal.attached,
    OpenStdin: spec.terminal.stdin,
    Tty: spec.terminal.tty,
    Cmd: spec.command,
    Entrypoint: spec.entrypoint,
    Image: spec.image,
    Labels: Object.fromEntries(spec.labels),
    ExposedPorts: Object.fromEntries([...Object.keys(published), ...exposed].map((port) => [port, {}])),
    HostConfig: {
      Binds: spec.binds.map(({ source, target, readOnly }) => `${source}:${target}${readOnly ? ":ro" : ""}`),
      NetworkMode: networkModeOf(networking),
      PortBindings: published,
      PublishAllPorts: spec.publishAll,
      RestartPolicy: restartPolicy(spec.host.restart),
      Privileged: spec.host.privileged,
      AutoRemove: spec.host.autoRemove,
      Dns: spec.dns,
      DnsOptions: spec.dnsOptions,
      DnsSearch: spec.dnsSearch,
      ExtraHosts: spec.extraHosts.map(({ host, address }) => `${host}:${address}`),
      Sysctls: Object.fromEntries([...spec.sysctls].map(([key, { text }]) => [key, text])),
      Annotations: spec.shortName === spec.name.text ? {} : { [NAMESPACE_ANNOTATION]: spec.shortName },
    },
    NetworkingConfig: {
      EndpointsConfig: Object.fromEntries(attachments.map((each) => [each.network.text, writeAttachment(each)])),
    },
  };
}

function networkModeOf(networking: ContainerNetworking): string {
  if (networking.kind === "networks") return networking.given ? networking.attachments[0]!.network.text : "default";
  return networking.kind === "container" ? `container:${networking.container.text}` : networking.kind;
}

const writeAttachment = ({ aliases, address, mac, gatewayPriority }: AttachmentSpec): object => ({
  Aliases: aliases,
  ...(address === null ? {} : { IPAMConfig: { IPv4Address: formatIpv4(address.address) } }),
  ...(mac === null ? {} : { MacAddress: formatMac(mac.high, mac.low) }),
  ...(gatewayPriority === 0 ? {} : { GwPriority: gatewayPriority }),
});

const texts = z.array(z.string()).nullish();
const textMap = z.record(z.string(), z.string()).nullish();
const ATTACHMENT = z
  .looseObject({
    Aliases: texts,
    IPAMConfig: z.looseObject({ IPv4Address: z.string().nullish() }).nullish(),
    MacAddress: z.string().nullish(),
    GwPriority: z.int().nullish(),
  })
  .nullish();
const CONTAINER = z.looseObject({
  Hostname: z.string().nullish(),
  Env: texts,
  AttachStdout: z.boolean().nullish(),
  OpenStdin: z.boolean().nullish(),
  Tty: z.boolean().nullish(),
  Cmd: texts,
  Entrypoint: texts,
  Image: z.string(),
  Labels: textMap,
  ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
  HostConfig: z
    .looseObject({
      Binds: texts,
      NetworkMode: z.string().nullish(),
      PortBindings: z
        .record(z.string(), z.array(z.looseObject({ HostIp: z.string().nullish(), HostPort: z.string().nullish() })))
        .nullish(),
      PublishAllPorts: z.boolean().nullish(),
      RestartPolicy: z.looseObject({ Name: z.string(), MaximumRetryCount: z.int().nullish() }).nullish(),
      Privileged: z.boolean().nullish(),
      AutoRemove: z.boolean().nullish(),
      Dns: texts,
      DnsOptions: texts,
      DnsSearch: texts,
      ExtraHosts: texts,
      Sysctls: textMap,
      Annotations: textMap,
    })
    .nullish(),
  NetworkingConfig: z.looseObject({ EndpointsConfig: z.record(z.string(), ATTACHMENT).nullish() }).nullish(),
});
type Attachment = z.infer<typeof ATTACHMENT>;

/** A word that came by the API. */
export const apiWord = (text: string): Word => ({ text, place: { file: "Docker API", line: 1, column: 1 } });

/** @throws {Refusal} with status 400 for what is no such JSON. */
function readJson<T>(body: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw refuse(apiWord(body.slice(0, 40)), "JSON", "invalid JSON: invalid character");
  }
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data;
  const { path, message } = error.issues[0]!;
  throw refuse(apiWord(path.join(".")), message, `invalid JSON: ${path.join(".")}: ${message}`);
}

/** The body of `POST /containers/create?name=`. @throws {Refusal} */
export function readContainer(name: string, body: string): ContainerSpec {
  const config = readJson(body, CONTAINER);
  const host = config.HostConfig ?? {};
  const endpoints = config.NetworkingConfig?.EndpointsConfig ?? {};
  const ports = Object.entries(host.PortBindings ?? {}).flatMap(([port, bindings]): PortSpec[] =>
    bindings.flatMap(({ HostIp, HostPort }) => {
      const address = HostIp ?? "";
      const outside = `${address === "" ? "" : `${address.includes(":") ? `[${address}]` : address}:`}${HostPort ?? ""}`;
      return parsePort(apiWord(`${outside === "" ? "" : `${outside}:`}${port}`));
    }),
  );
  const published = new Set(Object.keys(host.PortBindings ?? {}));
  return {
    name: apiWord(name),
    shortName: host.Annotations?.[NAMESPACE_ANNOTATION] ?? name,
    hostname: config.Hostname || null,
    image: config.Image,
    entrypoint: config.Entrypoint ?? null,
    command: config.Cmd ?? null,
    host: {
      restart: readRestart(host.RestartPolicy ?? { Name: "no" }),
      privileged: host.Privileged ?? false,
      autoRemove: host.AutoRemove ?? false,
    },
    terminal: {
      stdin: config.OpenStdin ?? false,
      tty: config.Tty ?? false,
      attached: config.AttachStdout ?? false,
    },
    networking: readNetworking(host.NetworkMode || "default", endpoints),
    ports,
    exposed: Object.keys(config.ExposedPorts ?? {}).filter((port) => !published.has(port)),
    publishAll: host.PublishAllPorts ?? false,
    environment: new Map((config.Env ?? []).map((entry) => pair(entry))),
    labels: new Map(Object.entries(config.Labels ?? {})),
    dns: host.Dns ?? [],
    dnsSearch: host.DnsSearch ?? [],
    dnsOptions: host.DnsOptions ?? [],
    extraHosts: (host.ExtraHosts ?? []).map((entry) => parseExtraHost(apiWord(entry))),
    sysctls: new Map(Object.entries(host.Sysctls ?? {}).map(([key, value]) => [key, apiWord(value)])),
    binds: (host.Binds ?? []).flatMap((bind) => parseBind(bind) ?? []),
  };
}

function readRestart({ Name, MaximumRetryCount }: { Name: string; MaximumRetryCount?: number | null | undefined }) {
  return `${Name || "no"}${MaximumRetryCount ? `:${MaximumRetryCount}` : ""}`;
}

function pair(text: string): [string, string] {
  const at = text.indexOf("=");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function readNetworking(mode: string, endpoints: Readonly<Record<string, Attachment>>): ContainerNetworking {
  if (mode === "host" || mode === "none") return { kind: mode };
  if (mode.startsWith("container:")) return { kind: "container", container: apiWord(mode.slice(10)) };
  const given = mode !== "default";
  const first = given ? mode : "bridge";
  const names = [first, ...Object.keys(endpoints).filter((name) => name !== first)];
  return { kind: "networks", given, attachments: names.map((name) => readAttachment(name, endpoints[name])) };
}

function readAttachment(network: string, attachment: Attachment): AttachmentSpec {
  const address = attachment?.IPAMConfig?.IPv4Address || null;
  const mac = attachment?.MacAddress || null;
  return {
    network: apiWord(network),
    aliases: attachment?.Aliases ?? [],
    address: address === null ? null : readAddress(address),
    mac: mac === null ? null : readWord(apiWord(mac), "a MAC address", parseMac),
    gatewayPriority: attachment?.GwPriority ?? 0,
  };
}

const readAddress = (text: string) => ({
  ...apiWord(text),
  address: readWord(apiWord(text), "an IPv4 address", parseIpv4),
});

/** The body of `POST /networks/NETWORK/connect`. @throws {Refusal} */
export function readConnect(network: string, body: string): Command {
  const { Container, EndpointConfig } = readJson(
    body,
    z.looseObject({ Container: z.string(), EndpointConfig: ATTACHMENT }),
  );
  return { kind: "connect", container: apiWord(Container), attachment: readAttachment(network, EndpointConfig) };
}

/** The body of `POST /networks/NETWORK/disconnect`. @throws {Refusal} */
export function readDisconnect(network: string, body: string): Command {
  const { Container } = readJson(body, z.looseObject({ Container: z.string() }));
  return { kind: "disconnect", container: apiWord(Container), network: apiWord(network) };
}

// Networks.

function writeNetwork(spec: NetworkSpec): object {
  const { subnet, range, gateway, auxiliary } = spec;
  const config = {
    ...(subnet === null ? {} : { Subnet: formatPrefix(subnet.prefix) }),
    ...(range === null ? {} : { IPRange: formatPrefix(range.prefix) }),
    ...(gateway === null ? {} : { Gateway: formatIpv4(gateway.address) }),
    ...(auxiliary.size === 0
      ? {}
      : { AuxiliaryAddresses: Object.fromEntries([...auxiliary].map(([key, value]) => [key, formatIpv4(value)])) }),
  };
  return {
    Name: spec.name.text,
    Driver: spec.driver?.text ?? "bridge",
    IPAM: { Driver: "default", Config: Object.keys(config).length === 0 ? [] : [config] },
    Internal: spec.internal,
    Attachable: spec.attachable,
    Options: Object.fromEntries([...spec.options].map(([key, { text }]) => [key, text])),
    Labels: Object.fromEntries(spec.labels),
  };
}

const NETWORK = z.looseObject({
  Name: z.string().min(1),
  Driver: z.string().nullish(),
  IPAM: z
    .looseObject({
      Config: z
        .array(
          z.looseObject({
            Subnet: z.string().optional(),
            IPRange: z.string().optional(),
            Gateway: z.string().optional(),
            AuxiliaryAddresses: textMap,
          }),
        )
        .nullish(),
    })
    .nullish(),
  Internal: z.boolean().nullish(),
  Attachable: z.boolean().nullish(),
  Options: textMap,
  Labels: textMap,
});

/** The body of `POST /networks/create`. @throws {Refusal} */
export function readNetwork(body: string): NetworkSpec {
  const network = readJson(body, NETWORK);
  const config = network.IPAM?.Config?.[0] ?? {};
  const prefix = (text: string | undefined) => {
    if (text === undefined) return null;
    const word = apiWord(text);
    return { ...word, prefix: readWord(word, "a subnet such as 172.20.0.0/16", parsePrefix) };
  };
  const { Gateway, AuxiliaryAddresses } = config;
  return {
    name: apiWord(network.Name),
    driver: network.Driver ? apiWord(network.Driver) : null,
    subnet: prefix(config.Subnet),
    range: prefix(config.IPRange),
    gateway: Gateway === undefined ? null : readAddress(Gateway),
    auxiliary: new Map(Object.entries(AuxiliaryAddresses ?? {}).map(([key, text]) => [key, readAddress(text).address])),
    internal: network.Internal ?? false,
    attachable: network.Attachable ?? false,
    options: new Map(Object.entries(network.Options ?? {}).map(([key, text]) => [key, apiWord(text)])),
    labels: new Map(Object.entries(network.Labels ?? {})),
  };
}
