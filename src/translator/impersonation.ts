import type { TcpFlow } from "./tcp-flow.ts";

/** Who the impersonated host is: one outside, the gateway, or the host that the translator runs on. */
export type Role = "remote" | "gateway" | "host";

/**
 * A host that the translator plays towards one address of a guest, `Endpoint` of `slirp.ml`: it answers from `remote` as
 * if it were that host.
 */
export class Impersonation {
  /** Virtual nanoseconds of the last frame from the guest. */
  lastUse = 0;
  /** By the guest's port and the impersonated one, {@link portsKey}. */
  readonly flows = new Map<number, TcpFlow>();

  constructor(
    readonly role: Role,
    readonly remote: number,
    /** The guest's address. */
    readonly local: number,
  ) {}
}

/** Two ports as one integer. */
export const portsKey = (local: number, remote: number): number => (local << 16) | remote;
