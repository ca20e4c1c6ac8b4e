/**
 * The settings that change what the simulated kernel does, with the defaults of Linux 6.18. Values are integers; times
 * carry the unit that Linux uses for them. `conf.*` settings exist for `all`, `default` and each device.
 */
const CONF_DEFAULTS = {
  forwarding: 0,
  rp_filter: 0,
  accept_local: 0,
  route_localnet: 0,
  send_redirects: 1,
  accept_redirects: 1,
  secure_redirects: 1,
  shared_media: 1,
  accept_source_route: 0,
  arp_ignore: 0,
  arp_announce: 0,
  arp_filter: 0,
  arp_accept: 0,
  proxy_arp: 0,
  bc_forwarding: 0,
  src_valid_mark: 0,
  drop_unicast_in_l2_multicast: 0,
  drop_gratuitous_arp: 0,
  log_martians: 0,
  promote_secondaries: 0,
};

export type ConfKey = keyof typeof CONF_DEFAULTS;
export type Conf = Record<ConfKey, number>;

const CONF_KEYS = Object.keys(CONF_DEFAULTS) as ConfKey[];

const NET_DEFAULTS = {
  "net.core.somaxconn": 4096,
  "net.ipv4.ip_default_ttl": 64,
  "net.ipv4.ip_forward_update_priority": 1,
  "net.ipv4.ip_forward_use_pmtu": 0,
  "net.ipv4.ip_no_pmtu_disc": 0,
  "net.ipv4.ip_nonlocal_bind": 0,
  "net.ipv4.ip_unprivileged_port_start": 1024,
  "net.ipv4.icmp_echo_ignore_all": 0,
  "net.ipv4.icmp_echo_ignore_broadcasts": 1,
  "net.ipv4.icmp_errors_use_inbound_ifaddr": 0,
  "net.ipv4.icmp_ratelimit": 1000,
  "net.ipv4.icmp_ratemask": 6168,
  "net.ipv4.icmp_msgs_per_sec": 1000,
  "net.ipv4.icmp_msgs_burst": 50,
  "net.ipv4.ipfrag_time": 30,
  "net.ipv4.ipfrag_max_dist": 64,
  "net.ipv4.ipfrag_high_thresh": 4_194_304,
  "net.ipv4.route.min_pmtu": 552,
  "net.ipv4.route.mtu_expires": 600,
  "net.ipv4.neigh.default.ucast_solicit": 3,
  "net.ipv4.neigh.default.mcast_solicit": 3,
  "net.ipv4.neigh.default.retrans_time_ms": 1000,
  "net.ipv4.neigh.default.base_reachable_time_ms": 30_000,
  "net.ipv4.neigh.default.delay_first_probe_time": 5,
  "net.ipv4.neigh.default.unres_qlen_bytes": 212_992,
  "net.ipv4.neigh.default.gc_stale_time": 60,
  "net.ipv4.neigh.default.locktime": 100,
  "net.ipv4.tcp_timestamps": 1,
  "net.ipv4.tcp_sack": 1,
  "net.ipv4.tcp_window_scaling": 1,
  "net.ipv4.tcp_syn_retries": 6,
  "net.ipv4.tcp_syn_linear_timeouts": 4,
  "net.ipv4.tcp_synack_retries": 5,
  "net.ipv4.tcp_retries1": 3,
  "net.ipv4.tcp_retries2": 15,
  "net.ipv4.tcp_keepalive_time": 7200,
  "net.ipv4.tcp_keepalive_intvl": 75,
  "net.ipv4.tcp_keepalive_probes": 9,
  "net.ipv4.tcp_tw_reuse": 2,
  "net.ipv4.tcp_ecn": 2,
  "net.ipv4.tcp_fin_timeout": 60,
  "net.ipv4.tcp_abort_on_overflow": 0,
  "net.ipv4.tcp_syncookies": 1,
  "net.netfilter.nf_conntrack_acct": 0,
  "net.netfilter.nf_conntrack_buckets": 262_144,
  "net.netfilter.nf_conntrack_checksum": 1,
  "net.netfilter.nf_conntrack_max": 262_144,
  "net.netfilter.nf_conntrack_generic_timeout": 600,
  "net.netfilter.nf_conntrack_icmp_timeout": 30,
  "net.netfilter.nf_conntrack_udp_timeout": 30,
  "net.netfilter.nf_conntrack_udp_timeout_stream": 120,
  "net.netfilter.nf_conntrack_gre_timeout": 30,
  "net.netfilter.nf_conntrack_gre_timeout_stream": 180,
  "net.netfilter.nf_conntrack_sctp_timeout_closed": 10,
  "net.netfilter.nf_conntrack_sctp_timeout_cookie_wait": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_established": 210,
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_sent": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_recd": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_shutdown_ack_sent": 3,
  "net.netfilter.nf_conntrack_sctp_timeout_heartbeat_sent": 30,
  "net.netfilter.nf_conntrack_tcp_loose": 1,
  "net.netfilter.nf_conntrack_tcp_be_liberal": 0,
  "net.netfilter.nf_conntrack_tcp_ignore_invalid_rst": 0,
  "net.netfilter.nf_conntrack_tcp_max_retrans": 3,
  "net.netfilter.nf_conntrack_tcp_timeout_syn_sent": 120,
  "net.netfilter.nf_conntrack_tcp_timeout_syn_recv": 60,
  "net.netfilter.nf_conntrack_tcp_timeout_established": 432_000,
  "net.netfilter.nf_conntrack_tcp_timeout_fin_wait": 120,
  "net.netfilter.nf_conntrack_tcp_timeout_close_wait": 60,
  "net.netfilter.nf_conntrack_tcp_timeout_last_ack": 30,
  "net.netfilter.nf_conntrack_tcp_timeout_time_wait": 120,
  "net.netfilter.nf_conntrack_tcp_timeout_close": 10,
  "net.netfilter.nf_conntrack_tcp_timeout_max_retrans": 300,
  "net.netfilter.nf_conntrack_tcp_timeout_unacknowledged": 300,
  "net.bridge.bridge-nf-call-arptables": 1,
  "net.bridge.bridge-nf-call-iptables": 1,
  "net.bridge.bridge-nf-call-ip6tables": 1,
};

export type NetKey = keyof typeof NET_DEFAULTS;

/** How `all` and the device's own value make one. */
const COMBINE: Partial<Record<ConfKey, "or" | "and" | "max">> = {
  rp_filter: "max",
  accept_local: "or",
  route_localnet: "or",
  send_redirects: "or",
  secure_redirects: "or",
  shared_media: "or",
  accept_source_route: "and",
  arp_ignore: "max",
  arp_announce: "max",
  arp_filter: "or",
  arp_accept: "max",
  proxy_arp: "or",
  bc_forwarding: "and",
  src_valid_mark: "or",
  drop_unicast_in_l2_multicast: "or",
  drop_gratuitous_arp: "or",
  log_martians: "or",
  promote_secondaries: "or",
};

const isConfKey = (key: string): key is ConfKey => Object.hasOwn(CONF_DEFAULTS, key);
const isNetKey = (key: string): key is NetKey => Object.hasOwn(NET_DEFAULTS, key);

/** The sysctls of one namespace. */
export class Sysctls {
  private readonly values: Record<NetKey, number> = { ...NET_DEFAULTS };
  private readonly conf = new Map<string, Conf>([
    ["all", { ...CONF_DEFAULTS }],
    ["default", { ...CONF_DEFAULTS, accept_source_route: 1 }],
  ]);
  /**
   * What each device has been told itself: there it no longer follows `default` (`ipv4_devconf.state`). A device begins
   * as a copy of `default`, with what that has been told.
   */
  private readonly told = new Map<string, Set<ConfKey>>([["default", new Set()]]);
  /** The first and last port of `ip_local_port_range`. */
  localPorts: readonly [number, number] = [32_768, 60_999];
  /** `tcp_congestion_control`. */
  congestion: "cubic" | "reno" = "cubic";
  /** `tcp_rmem`, `tcp_wmem`: the least, what a socket begins with, and the most; bytes. */
  tcpReceive: readonly number[] = [4096, 131_072, 33_554_432];
  tcpSend: readonly number[] = [4096, 16_384, 4_194_304];
  /** `net.ipv6.conf.*.disable_ipv6`: hopscope has no IPv6, so that no device does where nothing else is said. */
  private readonly disableIpv6 = new Map([["default", true]]);
  /** Called after each change. */
  onChange: () => void = () => {};

  get(key: NetKey): number {
    return this.values[key];
  }

  /** `sysctl KEY`. @throws {RangeError} for a key that hopscope does not model. */
  read(key: string): string {
    if (key === "net.ipv4.ip_local_port_range") return this.localPorts.join("\t");
    if (key === "net.ipv4.tcp_congestion_control") return this.congestion;
    if (key === "net.ipv4.tcp_rmem") return this.tcpReceive.join("\t");
    if (key === "net.ipv4.tcp_wmem") return this.tcpSend.join("\t");
    if (key === "net.ipv4.ip_forward") return String(this.conf.get("all")!.forwarding);
    if (isNetKey(key)) return String(this.values[key]);
    const [, device, name] = /^net\.ipv4\.conf\.(.+)\.([a-z0-9_]+)$/.exec(key) ?? [];
    const conf = device === undefined ? undefined : this.conf.get(device);
    if (conf === undefined || name === undefined || !isConfKey(name))
      throw new RangeError(`hopscope does not model the sysctl ${key}`);
    return String(conf[name]);
  }

  /** The value in force on a device, `IN_DEV_ORCONF()` and its kin. */
  effective(device: string, key: ConfKey): number {
    const own = this.confOf(device)[key];
    const all = this.conf.get("all")![key];
    if (key === "accept_redirects") return this.confOf(device).forwarding ? all & own : all | own;
    const combine = COMBINE[key];
    if (combine === "or") return all | own;
    if (combine === "and") return all & own;
    return combine === "max" ? Math.max(all, own) : own;
  }

  /** A device that comes to be starts with the values of `default`. */
  addDevice(device: string): void {
    this.confOf(device);
  }

  /** A device that has had an address follows `default` no more, `ipv4_devconf_setall()`. */
  settle(device: string): void {
    this.told.set(device, new Set(CONF_KEYS));
  }

  /**
   * `sysctl -w key=value`.
   * @throws {RangeError} with the reason, for a key that Linux has not or hopscope does not model, or a bad value.
   */
  set(key: string, value: string | number): void {
    if (key === "net.ipv4.ip_local_port_range") {
      this.localPorts = parseRange(key, String(value));
      return;
    }
    if (this.setTcp(key, String(value))) return;
    const number = typeof value === "number" ? value : Number(value.trim());
    if (!Number.isInteger(number)) throw new RangeError(`${key} takes an integer, not ${JSON.stringify(value)}`);
    const ipv6 = /^net[./]ipv6[./]conf[./](.+)[./]disable_ipv6$/.exec(key);
    if (key === "net.ipv4.ip_forward") this.setForwarding("all", number);
    else if (ipv6 !== null) this.setDisableIpv6(ipv6[1]!, number !== 0);
    else if (isNetKey(key)) this.values[key] = number;
    else {
      const [, device, name] = /^net[./]ipv4[./]conf[./](.+)[./]([a-z0-9_]+)$/.exec(key) ?? [];
      if (device === undefined || name === undefined || !isConfKey(name))
        throw new RangeError(`hopscope does not model the sysctl ${key}`);
      if (name === "forwarding") this.setForwarding(device, number);
      else this.setConf(device, name, number);
    }
    this.onChange();
  }

  /** The settings of TCP that are no integers. */
  private setTcp(key: string, value: string): boolean {
    if (key === "net.ipv4.tcp_congestion_control") {
      if (value !== "cubic" && value !== "reno")
        throw new RangeError(`${key} takes cubic or reno, not ${JSON.stringify(value)}`);
      this.congestion = value;
    } else if (key === "net.ipv4.tcp_rmem") this.tcpReceive = parseSizes(key, value);
    else if (key === "net.ipv4.tcp_wmem") this.tcpSend = parseSizes(key, value);
    else return false;
    return true;
  }

  /** Changing `all` sets `default` and every device, `inet_forward_change()`. */
  private setForwarding(device: string, value: number): void {
    if (device === "all") for (const conf of this.conf.values()) conf.forwarding = value;
    else this.confOf(device).forwarding = value;
  }

  /** `devinet_conf_proc()`: a new default holds for every device that was not told otherwise. */
  private setConf(device: string, key: ConfKey, value: number): void {
    this.confOf(device)[key] = value;
    if (device === "all") return;
    this.told.get(device)!.add(key);
    if (device === "default")
      for (const [name, conf] of this.conf) if (name !== "all" && !this.told.get(name)!.has(key)) conf[key] = value;
  }

  /** It changes the addresses that `ip addr` prints, and nothing else. */
  withoutIpv6(device: string): boolean {
    return this.disableIpv6.get(device) ?? this.disableIpv6.get("default")!;
  }

  private setDisableIpv6(device: string, disabled: boolean): void {
    if (device === "all") {
      this.disableIpv6.clear();
      this.disableIpv6.set("default", disabled);
    } else this.disableIpv6.set(device, disabled);
  }

  private confOf(device: string): Conf {
    let conf = this.conf.get(device);
    if (conf === undefined) {
      this.conf.set(device, (conf = { ...this.conf.get("default")! }));
      this.told.set(device, new Set(this.told.get("default")));
    }
    return conf;
  }
}

function parseRange(key: string, text: string): [number, number] {
  const match = /^\s*(\d+)\s+(\d+)\s*$/.exec(text);
  const low = Number(match?.[1]);
  const high = Number(match?.[2]);
  if (match === null || low < 1 || high > 65_535 || low > high)
    throw new RangeError(`${key} takes two ports, low and high, not ${JSON.stringify(text)}`);
  return [low, high];
}

function parseSizes(key: string, text: string): readonly number[] {
  const sizes = text.trim().split(/\s+/).map(Number);
  if (sizes.length !== 3 || !sizes.every((size) => Number.isInteger(size) && size > 0))
    throw new RangeError(`${key} takes three sizes, least, default and most, not ${JSON.stringify(text)}`);
  return sizes;
}
