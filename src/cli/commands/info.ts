import type { Command } from "../command.ts";
import { printDocument } from "../format/listing.ts";
import { showBinaryBytes } from "../format/quantity.ts";
import { colour, printLine, tell } from "../output.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  description: "The daemon, its workloads and its host.",
  options: [
    { name: "format", short: "f", kind: "text", value: "template", help: "json, or a Go template" },
    { name: "json", kind: "flag", help: "As --format json" },
  ],
  least: 0,
  most: 0,
  run: async ({ flags, client }) => {
    const info = await client.system.info();
    const format = flags.on("json") ? "json" : flags.text("format");
    if (format !== undefined) {
      printDocument(info, format);
      return 0;
    }
    const text = (name: string): string => {
      const value = info[name];
      return value === undefined || value === null || value === ""
        ? "-"
        : typeof value === "object"
          ? JSON.stringify(value)
          : String(value as string | number | boolean);
    };
    const rows: readonly (readonly [string, string])[] = [
      ["Server version", text("ServerVersion")],
      ["Address", client.host],
      ["Root directory", text("DockerRootDir")],
      ["Workloads", `${text("Containers")} (${text("ContainersRunning")} running, ${text("ContainersPaused")} paused, ${text("ContainersStopped")} stopped)`],
      ["Images", text("Images")],
      ["Boundaries", Object.keys((info["Runtimes"] ?? {}) as object).join(", ") || "-"],
      ["Default boundary", text("DefaultRuntime")],
      ["Storage", text("Driver")],
      ["Cgroups", `version ${text("CgroupVersion")} (${text("CgroupDriver")})`],
      ["Kernel", text("KernelVersion")],
      ["Operating system", text("OperatingSystem")],
      ["Architecture", text("Architecture")],
      ["Processors", text("NCPU")],
      ["Memory", typeof info["MemTotal"] === "number" ? showBinaryBytes(info["MemTotal"]) : "-"],
      ["Host name", text("Name")],
    ];
    for (const [name, value] of rows) printLine(`${colour(`${name}:`.padEnd(19), "bold")}${value}`);
    for (const warning of (info["Warnings"] ?? []) as string[]) tell(`WARNING: ${warning}`);
    return 0;
  },
};
