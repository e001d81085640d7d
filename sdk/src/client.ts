/** Everything that a daemon offers, behind one socket. */

import { findSocketPath } from "./address.ts";
import { Advisor } from "./advice.ts";
import { Auditor } from "./audit.ts";
import type { CreateDocument } from "./documents.ts";
import { Execs } from "./execs.ts";
import { ServerIdentity } from "./identity.ts";
import { Images } from "./images.ts";
import { Networks } from "./networks.ts";
import { Planner } from "./plan.ts";
import { PolicyClient } from "./policy.ts";
import { beginRun, type Run } from "./run.ts";
import { System } from "./system.ts";
import { Transport } from "./transport.ts";
import { Volumes } from "./volumes.ts";
import { WorkloadFiles } from "./workload-files.ts";
import { Workloads, type Cancellable } from "./workloads.ts";

export interface ClientOptions {
  /** `unix:///run/bulkhead/bulkhead.sock`; absent: BULKHEAD_HOST, then the default. Never DOCKER_HOST. */
  readonly host?: string | undefined;
}

/** Connects on first use. One client may be shared by everything in a process. */
export class Client {
  readonly workloads: Workloads;
  readonly files: WorkloadFiles;
  readonly execs: Execs;
  readonly images: Images;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly system: System;
  readonly advisor: Advisor;
  readonly auditor: Auditor;
  readonly planner: Planner;
  readonly policy: PolicyClient;
  private readonly transport: Transport;

  constructor(options: ClientOptions = {}) {
    this.transport = new Transport(findSocketPath(options.host));
    const identity = new ServerIdentity(this.transport);
    this.workloads = new Workloads(this.transport, identity);
    this.files = new WorkloadFiles(this.transport);
    this.execs = new Execs(this.transport);
    this.images = new Images(this.transport, identity);
    this.networks = new Networks(this.transport, identity);
    this.volumes = new Volumes(this.transport, identity);
    this.system = new System(this.transport, identity);
    this.advisor = new Advisor(this.transport);
    this.planner = new Planner(this.transport);
    this.auditor = new Auditor(this.transport);
    this.policy = new PolicyClient(this.transport);
  }

  get host(): string {
    return `unix://${this.transport.socketPath}`;
  }

  /** Create, attach and start in one round trip; see `Run`. */
  run(document: CreateDocument, options: { readonly name?: string | undefined; readonly platform?: string | undefined } & Cancellable = {}): Promise<Run> {
    return beginRun(this.transport, document, options);
  }

  /** Closes idle connections and fails what is under way. */
  close(): void {
    this.transport.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
