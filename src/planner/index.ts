/** The planner's face. Pure: requirements, host types and measurements in; hosts, costs and blast radius out. */

export { planTypes } from "./host-types.ts";
export { type HostType, plan, type PlannedWorkload } from "./plan.ts";
