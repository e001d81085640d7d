// The layers of ARCHITECTURE.md as rules: what a folder may import, and nothing else.
const layers = {
  "src/contract": [],
  "src/host": ["src/contract"],
  "src/images": ["src/contract", "src/host", "src/state/index.ts"],
  "src/networks": ["src/contract", "src/host", "src/state/index.ts"],
  "src/volumes": ["src/contract", "src/host", "src/state/index.ts"],
  "src/state": ["src/contract", "src/host"],
  "src/policy": ["src/contract"],
  "src/advisor": ["src/contract"],
  "src/auditor": ["src/contract"],
  "src/planner": ["src/contract", "src/advisor/index.ts"],
  "src/engine": ["src/contract", "src/host", "src/images", "src/networks", "src/volumes", "src/state"],
  "src/api": ["src/contract", "src/engine/index.ts", "src/images/index.ts", "src/networks/index.ts", "src/volumes/index.ts", "src/policy/index.ts", "src/advisor/index.ts", "src/auditor/index.ts", "src/planner/index.ts"],
  "src/cli": ["sdk/src"],
  "sdk/src": [],
  "bench": ["sdk/src", "src/host", "src/contract"],
};
const drivers = ["container", "gvisor", "microvm", "vm", "wasm"];
for (const driver of drivers) layers[`src/drivers/${driver}`] = ["src/contract", "src/host"];
// What the boundaries that are OCI runtimes say alike.
layers["src/drivers/oci"] = ["src/contract", "src/host"];
for (const driver of ["container", "gvisor"]) layers[`src/drivers/${driver}`].push("src/drivers/oci");
// What the boundaries that are machines do alike.
layers["src/drivers/machine"] = ["src/contract", "src/host"];
for (const driver of ["microvm", "vm"]) layers[`src/drivers/${driver}`].push("src/drivers/machine");

const escape = (path) => path.replaceAll("/", "\\/").replaceAll(".", "\\.");
const forbidden = Object.entries(layers).map(([folder, allowed]) => ({
  name: `layer-${folder.replaceAll("/", "-")}`,
  severity: "error",
  comment: `${folder} may import only ${allowed.join(", ") || "itself"}`,
  from: { path: `^${escape(folder)}/`, pathNot: "\\.test\\.ts$|/testkit/" },
  to: { path: "^(src|sdk/src|bench|test|scripts)/", pathNot: [folder, ...allowed].map((path) => `^${escape(path)}(/|$)`) },
}));
forbidden.push({ name: "no-cycles", severity: "error", from: { path: "^(src|sdk|bench)/" }, to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } } });
forbidden.push({ name: "only-the-daemon-names-drivers", severity: "error", from: { path: "^src/", pathNot: "^src/(daemon|drivers)/" }, to: { path: "^src/drivers/" } });
forbidden.push({
  name: "processes-only-in-host",
  severity: "error",
  from: { path: "^(src|sdk/src)/", pathNot: "^src/(host|cli|daemon)/|\\.test\\.ts$|/testkit/" },
  to: { path: "^(node:)?child_process$" },
});

export default {
  forbidden,
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
  },
};
