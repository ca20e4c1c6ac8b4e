import type { MtuDiscovery } from "../kernel/protocol.ts";

/** `ip_sk_use_pmtu()`: what is known of the path counts, not the first link alone. */
export const usesPathMtu = (discovery: MtuDiscovery): boolean => discovery < 3;

/** `ip_sk_accept_pmtu()`: it learns from ICMP errors. */
export const acceptsPathMtu = (discovery: MtuDiscovery): boolean => discovery < 4;

/** `ip_sk_ignore_df()`: what is too long is cut, and not refused. */
export const ignoresDf = (discovery: MtuDiscovery): boolean => discovery < 2 || discovery === 5;
