import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import type { Daemon } from "./daemon.ts";
import { isBefore } from "./engine.ts";
import type { PortBinding } from "./model.ts";
import type { Operation, ProcessProgram, ProcessSpec } from "./operation.ts";
import { DOCKERD_PID } from "./process-list.ts";
import type { ContainerRecord, EndpointRecord, ExposedPort, MappedPort } from "./record.ts";
import type { RuleChange } from "./rule-change.ts";

/** The ports that one container publishes, on the endpoint that has its default route. */
export class PublishedPorts {
  constructor(
    private readonly daemon: Daemon,
    private readonly container: ContainerRecord,
  ) {}

  map(endpoint: EndpointRecord): void {
    const { daemon, container } = this;
    const { network } = endpoint;
    if (network.rules === null || network.internal) return;
    for (const spec of container.wanted) {
      const given = spec.hostAddress === "" ? daemon.options.publishAddress : spec.hostAddress;
      // Until 19.03 one socket without an address of its own took IPv6 as well.
      const everywhere = given === "0.0.0.0" && !isBefore(daemon.engine, 20);
      const routed = network.gatewayMode === "routed";
      const hostPort = routed ? 0 : daemon.ports.allocate(spec, given);
      const { protocol, containerPort } = spec;
      const port = {
        protocol,
        address: formatIpv4(endpoint.address),
        port: containerPort,
        hostAddress: given,
        hostPort,
      };
      const changes: RuleChange[] = [];
      const operations = daemon.program(daemon.firewall.port(network.rules, port), changes);
      const binding: PortBinding = { protocol, hostAddress: given, hostPort, containerPort };
      const proxies =
        routed || !daemon.options.userlandProxy
          ? []
          : this.proxies(binding, endpoint, everywhere && spec.hostAddress === "");
      for (const process of proxies) operations.push({ kind: "start", namespace: daemon.namespace, process });
      if (protocol === "udp")
        operations.push({ kind: "forget", namespace: daemon.namespace, flows: { udpPort: hostPort } });
      const exposed = routed ? null : this.exposed(binding, endpoint);
      if (exposed !== null) operations.push({ kind: "expose", ...exposed });
      daemon.processes.push(...proxies);
      container.mapped.push({ binding, changes, proxies, exposed });
      if (!routed)
        container.ports = [
          ...container.ports,
          binding,
          ...(everywhere && spec.hostAddress === "" ? [{ ...binding, hostAddress: "::" }] : []),
        ];
      daemon.step(
        `container ${container.name}: publishes ${given}:${hostPort} as ${containerPort}/${protocol}`,
        operations,
      );
    }
  }

  /** Docker Desktop: the port of the machine itself, which the virtual machine's is not. */
  private exposed(binding: PortBinding, endpoint: EndpointRecord): ExposedPort | null {
    const { desktop } = this.daemon.host;
    const { protocol, hostAddress, hostPort, containerPort } = binding;
    if (desktop === null || protocol === "sctp" || hostAddress.includes(":")) return null;
    const inside = `${formatIpv4(endpoint.address)}:${containerPort}`;
    return { at: desktop.port, port: `${protocol}:${hostAddress}:${hostPort}:${protocol}:${inside}` };
  }

  /** docker-proxy, once for each address that it listens on. */
  private proxies(binding: PortBinding, endpoint: EndpointRecord, both: boolean): ProcessSpec[] {
    const { daemon } = this;
    const { protocol, hostPort, containerPort } = binding;
    const listens = isBefore(daemon.engine, 28) ? "" : " -use-listen-fd";
    return [binding.hostAddress, ...(both ? ["::"] : [])].map((hostAddress) => {
      const command =
        `${daemon.options.proxyPath} -proto ${protocol} -host-ip ${hostAddress} -host-port ${hostPort} ` +
        `-container-ip ${formatIpv4(endpoint.address)} -container-port ${containerPort}${listens}`;
      const meets = protocol !== "sctp" && !hostAddress.includes(":");
      return {
        pid: daemon.nextPid(),
        parent: DOCKERD_PID,
        command,
        program: meets ? proxyProgram(protocol, binding, endpoint) : null,
      };
    });
  }

  unmap(): Operation[] {
    const { daemon, container } = this;
    const operations: Operation[] = [];
    for (const { binding, changes, proxies, exposed } of container.mapped.splice(0) as MappedPort[]) {
      operations.push(...daemon.withdraw([...changes]));
      for (const process of proxies) {
        operations.push({ kind: "stop", namespace: daemon.namespace, process });
        daemon.processes.splice(daemon.processes.indexOf(process), 1);
      }
      if (exposed !== null) operations.push({ kind: "unexpose", ...exposed });
      daemon.ports.release(binding.protocol, binding.hostAddress, binding.hostPort);
    }
    container.ports = [];
    return operations;
  }
}

const proxyProgram = (protocol: "tcp" | "udp", binding: PortBinding, { address }: EndpointRecord): ProcessProgram => ({
  kind: "proxy",
  options: {
    protocol,
    host: { address: parseIpv4(binding.hostAddress), port: binding.hostPort },
    container: { address, port: binding.containerPort },
  },
});
