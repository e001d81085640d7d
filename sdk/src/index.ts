/** The SDK's whole face. */

export { DEFAULT_SOCKET_PATH, findSocketPath } from "./address.ts";
export type { Fleet, PlanDocument, PlannedHost, PlanQuestion } from "./plan.ts";
export type { AuditDocument, AuditFinding, AuditOptions, MendedDocument } from "./audit.ts";
export type { AdviceDocument, AdviceDocumentQuestion, AdviceQuestion, MeasurementsDocument, WorkloadAdvice } from "./advice.ts";
export type { Attached } from "./attached.ts";
export { Client, type ClientOptions } from "./client.ts";
export { CommandFailed, Commands, type CommandOptions, type CommandResult } from "./commands.ts";
export type * from "./documents.ts";
export { Failure, FAILURE_CODES, type FailureCode } from "./failure.ts";
export { Files } from "./files.ts";
export { splitReference } from "./images.ts";
export type { OutputChunk } from "./multiplex.ts";
export type { NetworkDocument } from "./networks.ts";
export type { PolicyAnswer, PolicyText } from "./policy.ts";
export type { ExitStatus, Run } from "./run.ts";
export { Sandbox, type SandboxOptions } from "./sandbox.ts";
export type { DoctorReport, Finding, ProbeReport } from "./system.ts";
export type { VolumeDocument } from "./volumes.ts";
export type { PathStat, WriteFilesOptions } from "./workload-files.ts";
export type { Cancellable } from "./workloads.ts";
