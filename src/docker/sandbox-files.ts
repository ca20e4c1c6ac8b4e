import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import { type ContainerDns, containerDns, EMBEDDED_DNS, type HostsRecord, hostsFile } from "./container-files.ts";
import type { Daemon } from "./daemon.ts";
import type { Operation, ProcessSpec } from "./operation.ts";
import type { ContainerRecord } from "./record.ts";
import type { RuleChange } from "./rule-change.ts";

/** The files of one container that say who is who, and the DNS server that they name. */
export class SandboxFiles {
  constructor(
    private readonly daemon: Daemon,
    private readonly container: ContainerRecord,
  ) {}

  write(): void {
    const { daemon, container } = this;
    const { spec, namespace, name } = container;
    const { networking } = spec;
    if (networking.kind === "container") {
      const shared = daemon.containerOf(networking.container);
      container.hostsFile = shared.hostsFile;
      container.resolvConf = shared.resolvConf;
      return;
    }
    const embedded = container.endpoints.some(({ network }) => network.name !== "bridge");
    const dns = { ...spec, dns: spec.dns.length > 0 ? spec.dns : daemon.options.dns };
    const host = networking.kind === "host";
    const resolver = containerDns(daemon.engine, daemon.host.resolvConf, dns, embedded);
    container.hostsFile =
      host && spec.extraHosts.length === 0
        ? daemon.host.hostsFile
        : hostsFile(daemon.engine, [...this.extraHosts(), ...this.ownAddresses()]);
    container.resolvConf = host ? daemon.host.resolvConf : resolver.text;
    if (host) return;
    daemon.step(`container ${name}: its files`, [
      { kind: "file", namespace, path: "/etc/hosts", text: container.hostsFile },
      { kind: "file", namespace, path: "/etc/resolv.conf", text: container.resolvConf },
      { kind: "file", namespace, path: "/etc/hostname", text: `${container.hostname}\n` },
      { kind: "environment", namespace, values: container.environment },
    ]);
    if (embedded && container.resolver === null) this.startResolver(resolver);
  }

  private extraHosts(): HostsRecord[] {
    const { daemon, container } = this;
    const gateway = daemon.host.desktop?.hostAddress ?? daemon.networks.get("bridge")!.ipam!.gateway!;
    return container.spec.extraHosts.map(({ host, address }) => ({
      address: address === "host-gateway" ? formatIpv4(gateway) : address,
      names: host,
    }));
  }

  private ownAddresses(): HostsRecord[] {
    const { hostname, endpoints } = this.container;
    const [first] = hostname.split(".");
    const names = first === hostname ? hostname : `${hostname} ${first}`;
    return endpoints.map(({ address }) => ({ address: formatIpv4(address), names }));
  }

  /** dockerd answers on 127.0.0.11 inside the container, at two ports of its own. */
  private startResolver(dns: ContainerDns): void {
    const { daemon, container } = this;
    const { namespace, name } = container;
    const random = daemon.random.fork(`resolver/${name}`);
    const tcp = 32_768 + random.below(28_232);
    const udp = 32_768 + random.below(28_232);
    const upstreams = container.endpoints.some(({ isGateway }) => isGateway) ? dns.upstreams : [];
    const local = upstreams.length > 0 && upstreams.every((server) => server.startsWith("127."));
    const fromHost = !dns.chosen && (daemon.engine.forwardsFromHost || local);
    const asksFrom = fromHost ? daemon.namespace : namespace;
    const servers = upstreams.length === 0 ? "" : `; asks ${upstreams.join(", ")} from ${asksFrom}`;
    const addresses = upstreams.filter((server) => !server.includes(":")).map(parseIpv4);
    const process: ProcessSpec = {
      pid: 0,
      parent: 0,
      command: `dockerd: DNS on ${EMBEDDED_DNS}:${udp}/udp and :${tcp}/tcp${servers}`,
      program: { kind: "resolver", port: udp, tcpPort: tcp, upstreams: addresses, asksFrom },
    };
    container.resolver = { namespace, process };
    daemon.step(`container ${name}: the embedded DNS server`, [
      ...resolverRules(udp, tcp).map((change): Operation => ({ kind: "rules", namespace, change })),
      { kind: "start", namespace, process },
    ]);
  }
}

/** `setupIptablesNAT()` of libnetwork's resolver. */
function resolverRules(udp: number, tcp: number): RuleChange[] {
  const append = (chain: string, rule: string): RuleChange => ({ kind: "append", table: "nat", chain, rule });
  const to = `-d ${EMBEDDED_DNS}/32`;
  const from = `-s ${EMBEDDED_DNS}/32`;
  return [
    { kind: "chain", table: "nat", chain: "DOCKER_OUTPUT" },
    { kind: "chain", table: "nat", chain: "DOCKER_POSTROUTING" },
    append("OUTPUT", `${to} -j DOCKER_OUTPUT`),
    append("POSTROUTING", `${to} -j DOCKER_POSTROUTING`),
    append("DOCKER_OUTPUT", `${to} -p tcp -m tcp --dport 53 -j DNAT --to-destination ${EMBEDDED_DNS}:${tcp}`),
    append("DOCKER_POSTROUTING", `${from} -p tcp -m tcp --sport ${tcp} -j SNAT --to-source :53`),
    append("DOCKER_OUTPUT", `${to} -p udp -m udp --dport 53 -j DNAT --to-destination ${EMBEDDED_DNS}:${udp}`),
    append("DOCKER_POSTROUTING", `${from} -p udp -m udp --sport ${udp} -j SNAT --to-source :53`),
  ];
}
