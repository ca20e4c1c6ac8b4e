import { DEFAULT_POOLS } from "./ipam.ts";
import type { DaemonOptions } from "./model.ts";

/** What dockerd does without a daemon.json. */
export const DEFAULT_OPTIONS: DaemonOptions = {
  debug: false,
  proxyPath: "/usr/bin/docker-proxy",
  userlandProxy: true,
  icc: true,
  bridgeAddress: null,
  pools: DEFAULT_POOLS,
  dns: [],
  publishAddress: "0.0.0.0",
};
