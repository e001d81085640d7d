/** A workload as the API lists it. */
export const WORKLOAD = {
  Id: "0123456789abcdef".repeat(4),
  Names: ["/web"],
  Image: "busybox",
  ImageID: "sha256:1",
  Command: "httpd -f -h /www --and-more",
  Created: Math.floor(Date.now() / 1000) - 7200,
  State: "running",
  Status: "Up 2 hours",
  Ports: [
    { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
    { IP: "0.0.0.0", PrivatePort: 81, PublicPort: 8081, Type: "tcp" },
    { PrivatePort: 9, Type: "udp" },
  ],
  Labels: { team: "red" },
  Boundary: { kind: "microvm", engine: "qemu", version: "7.2", emulated: true, traits: [] },
};
