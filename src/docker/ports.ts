import { type PortSpec, refuse } from "./command.ts";

const ANY = "0.0.0.0";
/** `ip_local_port_range` of Linux. */
const FREE = { low: 32_768, high: 60_999 };

/** Which ports of the host are allocated. A port on every address excludes it on each, and the other way round. */
export class PortAllocator {
  private readonly taken = new Map<string, Set<string>>();
  private last = FREE.low - 1;

  /** @throws {InputError} when the port is allocated. */
  allocate(spec: PortSpec, address: string): number {
    if (spec.hostPort === null) return this.allocateFree(spec.protocol, address);
    if (this.reserve(spec.protocol, address, spec.hostPort)) return spec.hostPort;
    const says = `Bind for ${address}:${spec.hostPort} failed: port is already allocated`;
    throw refuse(spec, "a port that is free", says, 500);
  }

  private allocateFree(protocol: string, address: string): number {
    for (let i = 0; i <= FREE.high - FREE.low; i++) {
      this.last = this.last >= FREE.high ? FREE.low : this.last + 1;
      if (this.reserve(protocol, address, this.last)) return this.last;
    }
    throw new RangeError("no free port is left");
  }

  private reserve(protocol: string, address: string, port: number): boolean {
    const key = `${protocol}/${port}`;
    const addresses = this.taken.get(key) ?? new Set();
    if (addresses.has(address) || addresses.has(ANY) || (address === ANY && addresses.size > 0)) return false;
    this.taken.set(key, addresses.add(address));
    return true;
  }

  release(protocol: string, address: string, port: number): void {
    this.taken.get(`${protocol}/${port}`)?.delete(address);
  }
}
