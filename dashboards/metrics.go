package dashboards

// Kind is what a metric is.
type Kind string

// Every Kind.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric is one metric that a node shows.
type Metric struct {
	Name string
	Kind Kind
	// Labels are the metric's own, in no order that matters.
	Labels []string
	// Global says that every node shows the same value.
	Global bool
}

// Metrics lists every metric of a node.
func Metrics() []Metric {
	counter := func(name string, labels ...string) Metric { return Metric{Name: name, Kind: Counter, Labels: labels} }
	gauge := func(name string, labels ...string) Metric { return Metric{Name: name, Kind: Gauge, Labels: labels} }
	histogram := func(name string, labels ...string) Metric {
		return Metric{Name: name, Kind: Histogram, Labels: labels}
	}
	global := func(name string, labels ...string) Metric {
		return Metric{Name: name, Kind: Gauge, Labels: labels, Global: true}
	}
	return []Metric{
		global("wakelatch_claims_active", "tenant"),
		global("wakelatch_claims_oldest_active_age_seconds"),
		global("wakelatch_claims_releasing"),
		global("wakelatch_entities_pending_without_wake"),
		global("wakelatch_entities_parked"),
		global("wakelatch_invariant_violations", "invariant"),
		counter("wakelatch_claims_total", "outcome"),
		counter("wakelatch_confirms_total", "outcome"),
		counter("wakelatch_heartbeats_total", "outcome"),
		counter("wakelatch_dones_total", "outcome"),
		counter("wakelatch_releases_total", "outcome", "by"),
		counter("wakelatch_expiries_total", "outcome", "by"),
		histogram("wakelatch_done_to_released_seconds"),
		counter("wakelatch_wakes_armed_total"),
		counter("wakelatch_wakes_emitted_again_total"),
		counter("wakelatch_reconcile_tokens_dropped_total"),

		gauge("wakelatch_tokens"),
		counter("wakelatch_token_checks_total", "verdict"),
		counter("wakelatch_token_lookups_total", "result"),

		counter("wakelatch_appends_total", "outcome"),
		counter("wakelatch_appends_fenced_total"),
		counter("wakelatch_stream_reads_total", "mode"),
		gauge("wakelatch_long_polls"),
		counter("wakelatch_reconcile_found_total", "kind"),

		counter("wakelatch_retention_removed_total", "table"),
		counter("wakelatch_retention_failures_total"),
		gauge("wakelatch_retention_finished_timestamp_seconds"),

		gauge("wakelatch_listener_connected"),
		counter("wakelatch_listener_resyncs_total"),
		counter("wakelatch_listener_reconnects_total"),
		counter("wakelatch_notifications_total", "kind"),
		histogram("wakelatch_notify_delay_seconds"),
		counter("wakelatch_notify_published_total"),
		counter("wakelatch_notify_dropped_total"),
		counter("wakelatch_notify_publish_failures_total"),

		histogram("wakelatch_batch_items", "batch"),
		histogram("wakelatch_batch_flush_seconds", "batch"),
		counter("wakelatch_batch_retries_total", "batch", "reason"),

		global("wakelatch_jobs", "queue", "state"),
		counter("wakelatch_job_outcomes_total", "kind", "outcome"),
		counter("wakelatch_delayed_sends_total", "outcome"),

		gauge("wakelatch_pool_connections", "state"),
		counter("wakelatch_pool_acquire_waits_total"),

		// Of nodes that ask for API keys.
		gauge("wakelatch_api_keys"),
		counter("wakelatch_api_key_checks_total", "outcome"),
		counter("wakelatch_api_key_lookups_total", "result"),
		counter("wakelatch_api_key_limited_total"),

		counter("wakelatch_http_requests_total", "route", "method", "code"),
		histogram("wakelatch_http_request_seconds", "route", "method"),
	}
}
