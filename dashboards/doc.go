// Package dashboards holds what an operator looks at: a Grafana dashboard with its provisioning, a
// Prometheus configuration and alert rules, and the list of the metrics that they may name.
//
// The list is the contract between the code and the dashboards. A test of this package holds every
// expression to it, in both directions; [Differences] holds a node's registry to it.
//
// Some gauges are global: they come from a query over the whole database, so every node shows the same
// value. They are aggregated with max. A sum over the nodes would count everything once for each node.
package dashboards
