import { type NetworkSpec, refuse } from "./command.ts";
import type { GatewayMode } from "./model.ts";

export const BRIDGE_OPTION = "com.docker.network.bridge";

export function gatewayMode(spec: NetworkSpec | null): GatewayMode {
  const given = spec?.options.get(`${BRIDGE_OPTION}.gateway_mode_ipv4`);
  if (given === undefined) return "nat";
  const modes: readonly string[] = ["nat", "nat-unprotected", "routed", "isolated"];
  if (!modes.includes(given.text))
    throw refuse(given, `a gateway mode (${modes.join(", ")})`, `unknown gateway mode ${given.text}`);
  if (given.text === "isolated" && !spec!.internal)
    throw refuse(
      given,
      "isolated with an internal network only",
      "gateway mode 'isolated' can only be used for an internal network",
    );
  return given.text as GatewayMode;
}
