import { dnsServer } from "../program/dns-server.ts";
import { dockerProxy } from "../program/docker-proxy.ts";
import type { Environment, Program } from "../program/program.ts";
import { STEP } from "../trace/step.ts";
import { formatIpv4, parseIpv4 } from "../wire/address.ts";
import type { DnsRecord } from "../wire/dns.ts";
import type { World } from "../world/world.ts";
import { EMBEDDED_DNS } from "./container-files.ts";
import type { NameRecord, ProcessProgram, ProcessSpec } from "./operation.ts";

/** How long others may keep what the embedded DNS server says, in seconds (`respTTL`). */
const TTL = 600;

interface Closable {
  close(): void;
}

/** The programs that Docker starts, running in a world. */
export class Processes {
  private readonly sockets = new Map<ProcessSpec, Closable[]>();
  /** By the namespace of the embedded DNS server. */
  private readonly records = new Map<string, readonly DnsRecord[]>();

  constructor(private readonly world: World) {}

  start(namespace: string, process: ProcessSpec): void {
    const { program } = process;
    if (program === null) return;
    const host = this.world.host(namespace);
    const opened: Closable[] = [];
    this.sockets.set(process, opened);
    this.programOf(namespace, program, opened).start({
      ...this.environment(namespace, `process/${process.pid}/${process.command}`),
      udp: noting(host.udp, opened),
      tcp: noting(host.tcp, opened),
    });
  }

  /** dockerd itself, or containerd, with an environment of its own. */
  serve(namespace: string, program: Program, env: Readonly<Record<string, string>>): void {
    program.start({ ...this.environment(namespace, program.name), env });
  }

  private environment(namespace: string, label: string): Environment {
    const { fabric } = this.world;
    const host = this.world.host(namespace);
    const { net } = host;
    return {
      ...host,
      scheduler: fabric.scheduler,
      random: net.random.fork(label),
      say(text, packet = 0) {
        fabric.trace?.step(STEP.program, packet, net.place, fabric.names.text(text));
      },
      exit() {},
    };
  }

  /** Its sockets close. */
  stop(_namespace: string, process: ProcessSpec): void {
    for (const socket of this.sockets.get(process) ?? []) socket.close();
    this.sockets.delete(process);
  }

  learn(namespace: string, records: readonly NameRecord[]): void {
    this.records.set(namespace, records.flatMap(dnsRecords));
  }

  private programOf(namespace: string, program: ProcessProgram, opened: Closable[]): Program {
    if (program.kind === "proxy") return dockerProxy(program.options);
    const { records } = this;
    const { udp, tcp } = this.world.host(program.asksFrom);
    return dnsServer({
      address: parseIpv4(EMBEDDED_DNS),
      port: program.port,
      tcpPort: program.tcpPort,
      upstreams: program.upstreams,
      compressed: false,
      outside: { udp: noting(udp, opened), tcp: noting(tcp, opened) },
      get records() {
        return records.get(namespace) ?? [];
      },
    });
  }
}

/** The qualified name stands first, for it is the one that a question for the address gets. */
const dnsRecords = ({ name, network, address }: NameRecord): DnsRecord[] =>
  [`${name}.${network}`, name].map((each) => ({ name: each, type: "A", ttl: TTL, data: formatIpv4(address) }));

/** The same sockets; what is opened through it is noted. */
function noting<T extends { open(...options: never[]): Closable }>(sockets: T, opened: Closable[]): T {
  return Object.create(sockets, {
    open: {
      value: (...options: never[]) => {
        const socket = sockets.open(...options);
        opened.push(socket);
        return socket;
      },
    },
  }) as T;
}
