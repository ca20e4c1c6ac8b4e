import { formatIpv4 } from "../wire/address.ts";
import type { Environment } from "./program.ts";
import { lookUpHosts } from "./resolv-conf.ts";
import { parseRule, type Rule } from "./traefik-rule.ts";

export interface ProviderOptions {
  readonly exposedByDefault: boolean;
  /** The network whose address is taken where no label names one; "" for none. */
  readonly network: string;
  /** A rule with `{{ normalize .Name }}` in it; "" for Traefik's own. */
  readonly defaultRule: string;
}

/** What Traefik reads of `GET /containers/ID/json`. */
export interface DockerContainer {
  readonly Id: string;
  readonly Name: string;
  readonly State: { readonly Status: string };
  readonly HostConfig: { readonly NetworkMode: string };
  readonly Config: { readonly Labels: Readonly<Record<string, string>> };
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, unknown>>;
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>;
  };
}

/** A server of a service, and the rule of the service's router. */
export interface Backend {
  readonly service: string;
  readonly address: string;
  readonly rule: string;
  /** Null for a rule that hopscope cannot read, which nothing matches. */
  readonly parsed: Rule | null;
}

export interface Configuration {
  readonly backends: readonly Backend[];
  readonly warnings: readonly string[];
}

/** `DynConfBuilder.build()`. */
export function configure(
  containers: readonly DockerContainer[],
  options: ProviderOptions,
  environment: Environment,
): Configuration {
  const backends: Backend[] = [];
  const warnings: string[] = [];
  for (const container of containers) {
    const { State, Config } = container;
    const { Labels: labels } = Config;
    const enabled = labels["traefik.enable"];
    if (State.Status !== "running" || !(enabled === undefined ? options.exposedByDefault : enabled === "true"))
      continue;
    const name = container.Name.replace(/^\//, "");
    const project = labels["com.docker.compose.project"];
    const own = labels["com.docker.compose.service"] ?? name;
    const normal = normalize(project === undefined ? own : `${own}-${project}`);
    const named = (kind: string) => firstName(labels, kind);
    const service = named("services") ?? normal;
    const rule = labels[`traefik.http.routers.${named("routers") ?? normal}.rule`] ?? defaultRule(options, normal);
    const address = addressOf(container, { containers, options, environment, warnings });
    const port = labels[`traefik.http.services.${service}.loadbalancer.server.port`] ?? lowestPort(container);
    const at = `container=${normal}-${container.Id.slice(0, 12)}`;
    if (address === "")
      warnings.push(`ERR unable to find the IP address for the container "${name}": the server is ignored ${at}`);
    else if (port === null) warnings.push(`ERR error="service \\"${service}\\" error: port is missing" ${at}`);
    else {
      const parsed = parseRule(rule);
      if (parsed === null) warnings.push(`hopscope does not read the rule ${rule} ${at}`);
      backends.push({ service, address: `${address}:${port}`, rule, parsed });
    }
  }
  return { backends, warnings };
}

/** Letters and digits, parted by dashes. */
const normalize = (name: string): string =>
  name
    .split(/[^\p{L}\p{N}]+/u)
    .filter((part) => part !== "")
    .join("-");

const defaultRule = (options: ProviderOptions, name: string): string =>
  options.defaultRule === ""
    ? `Host(\`${name}\`)`
    : options.defaultRule.replace(/\{\{\s*normalize \.Name\s*\}\}/, name);

function firstName(labels: Readonly<Record<string, string>>, kind: string): string | null {
  for (const label of Object.keys(labels)) {
    const [, name] = new RegExp(`^traefik\\.http\\.${kind}\\.([^.]+)\\.`).exec(label) ?? [];
    if (name !== undefined) return name;
  }
  return null;
}

/** `getPort()` without a label: the lowest of the ports that the container exposes. */
function lowestPort({ NetworkSettings }: DockerContainer): number | null {
  const ports = Object.keys(NetworkSettings.Ports ?? {}).map((port) => Number.parseInt(port, 10));
  return ports.length === 0 ? null : Math.min(...ports);
}

interface Search {
  readonly containers: readonly DockerContainer[];
  readonly options: ProviderOptions;
  readonly environment: Environment;
  readonly warnings: string[];
}

/**
 * `getIPAddress()`: the address on the network that a label names, or the provider's option; else on any of its networks,
 * for Go's maps have no order. Nobody asks whether Traefik is on that network.
 */
function addressOf(container: DockerContainer, search: Search, inherited = search.options.network): string {
  const { HostConfig, NetworkSettings, Config } = container;
  const networks = NetworkSettings.Networks;
  const name = container.Name.replace(/^\//, "");
  const wanted = Config.Labels["traefik.docker.network"] ?? inherited;
  if (wanted !== "") {
    const found = networks[wanted];
    if (found !== undefined) return found.IPAddress;
    search.warnings.push(
      `WRN Could not find network named '${wanted}' for container '${name}'! Maybe you're missing the project's prefix in the label? Defaulting to first available network.`,
    );
  }
  const mode = HostConfig.NetworkMode;
  if (mode === "host") {
    const [known] = lookUpHosts(search.environment.files.get("/etc/hosts") ?? "", "host.docker.internal");
    return known === undefined ? "127.0.0.1" : formatIpv4(known);
  }
  if (mode.startsWith("container:")) {
    const other = search.containers.find(({ Id }) => Id === mode.slice("container:".length));
    return other === undefined ? "" : addressOf(other, search, wanted);
  }
  const all = Object.values(networks);
  return all.length === 0 ? "" : all[search.environment.random.below(all.length)]!.IPAddress;
}
