import type { TargetKind } from "../extension.ts";
import type { Target, TargetVerdict } from "../rule.ts";

/** `checksum_tg()` of xt_CHECKSUM.c fills in what a device was to compute; here checksums are always complete. */
class ChecksumTarget implements Target {
  readonly name = "CHECKSUM";

  apply(): TargetVerdict {
    return "CONTINUE";
  }

  print(): string {
    return "--checksum-fill";
  }
}

export const checksumKind: TargetKind = {
  name: "CHECKSUM",
  tables: ["mangle"],
  options: [{ name: "checksum-fill", values: 0 }],
  parse(options) {
    options.need("checksum-fill");
    return new ChecksumTarget();
  },
};
