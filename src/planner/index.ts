/** The planner's face. Pure: requirements, a host type and measurements in; hosts, costs and blast radius out. */

export { type HostType, plan, type PlannedWorkload } from "./plan.ts";
