/** Which of the two ends of a flow NAT changes: source in POSTROUTING and INPUT, destination in PREROUTING and OUTPUT. */
export type Manip = "source" | "destination";

/** What a NAT target allows (`struct nf_nat_range2`). Addresses are signed integers, ports host order, both inclusive. */
export interface NatRange {
  /** Null keeps the packet's own address. */
  readonly addresses: { readonly min: number; readonly max: number } | null;
  /** Null lets the kernel choose a port, and only when the packet's own is taken. For ICMP the identifier. */
  readonly ports: { readonly min: number; readonly max: number } | null;
  /** `--random`, `--random-fully`. */
  readonly random: "no" | "random" | "fully";
  /** `--persistent`: the address depends on the source alone. */
  readonly persistent: boolean;
  /** `6000-6009/90`: the original port that maps to `ports.min`; null without. */
  readonly basePort: number | null;
}
