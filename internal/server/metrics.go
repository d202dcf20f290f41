package server

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

const (
	// maxNamespaces bounds the label namespace (TRUST R47): whoever may create
	// namespaces chooses its values.
	maxNamespaces = 200
	// otherLabel stands for the rest. No namespace and no host is called so.
	otherLabel = "_other"
)

// Metrics counts what the program does, under a registry of its own. Its
// methods are safe for concurrent use and do not block. It is an
// [github.com/bonafide-dev/bonafide/engine.Observer].
type Metrics struct {
	registry *prometheus.Registry

	decisions  *prometheus.CounterVec
	answers    *prometheus.HistogramVec
	provides   *prometheus.HistogramVec
	panics     *prometheus.CounterVec
	inFlight   prometheus.Gauge
	unverified *prometheus.CounterVec
	caches     *prometheus.CounterVec
	verified   *prometheus.CounterVec
	requests   *prometheus.HistogramVec
	policies   prometheus.Gauge
	weakenings prometheus.Gauge
	reloads    *prometheus.CounterVec
	reloaded   prometheus.Gauge

	hosts   map[string]bool // operator-named registries
	reasons map[evidence.Reason]bool

	cluster clusterMetrics

	mu         sync.Mutex
	namespaces map[string]bool
	exceptions map[string]bool
}

// NewMetrics returns Metrics that tell registries apart by host only if they
// are among hosts, which the operator has named (TRUST R47).
func NewMetrics(hosts ...string) *Metrics {
	m := &Metrics{
		registry:   prometheus.NewRegistry(),
		decisions:  counter("decisions_total", "Images decided, by door, outcome and reason. Dry runs are not counted.", "door", "outcome", "reason"),
		answers:    histogram("admission_seconds", "Time to answer a request at an admission door.", "door", "allowed"),
		provides:   histogram("external_data_seconds", "Time to answer Gatekeeper, by door and whether anything could be decided.", "door", "answered"),
		panics:     counter("panics_total", "Requests that ended in an internal error, by door.", "door"),
		unverified: counter("unmatched_images_total", "Images that no enforcing policy covers, by namespace.", "namespace"),
		caches:     counter("cache_lookups_total", "Looks into a cache.", "cache", "hit"),
		verified:   counter("verifications_total", "Verifications of evidence for a signer, rather than memory of one.", "outcome"),
		requests:   histogram("registry_request_seconds", "Requests to registries, by host and class of status.", "host", "status"),
		reloads:    counter("policy_reloads_total", "Attempts to load the policies.", "result"),
		inFlight:   gauge("in_flight_requests", "Requests being read or decided."),
		policies:   gauge("policies", "Policies that are decided by."),
		weakenings: gauge("policy_weakenings", "Policies that verify less than they could."),
		reloaded:   gauge("policy_last_reload_timestamp_seconds", "When the policies were last loaded with success."),
		hosts:      map[string]bool{},
		reasons:    map[evidence.Reason]bool{"": true},
		cluster:    newClusterMetrics(),
		namespaces: map[string]bool{},
		exceptions: map[string]bool{},
	}
	for _, h := range hosts {
		m.hosts[h] = true
	}
	for _, info := range evidence.Reasons() {
		m.reasons[info.Reason] = true
	}
	m.registry.MustRegister(
		m.decisions, m.answers, m.provides, m.panics, m.inFlight, m.unverified, m.caches, m.verified, m.requests, m.policies, m.weakenings, m.reloads, m.reloaded,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.registry.MustRegister(m.cluster.all()...)
	return m
}

const metricsNamespace = "bonafide"

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: metricsNamespace, Name: name, Help: help})
}

// histogram has buckets from a warm answer to the longest webhook timeout.
func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: metricsNamespace, Name: name, Help: help,
		Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, labels)
}

// CacheLooked counts a look into a cache.
func (m *Metrics) CacheLooked(cache string, hit bool) {
	m.caches.WithLabelValues(cache, strconv.FormatBool(hit)).Inc()
}

// Verified counts a verification.
func (m *Metrics) Verified(outcome policy.Outcome) {
	m.verified.WithLabelValues(outcome.String()).Inc()
}

// RegistryRequest counts a request to a registry and what it took. status is
// its HTTP status, 0 if no answer came.
func (m *Metrics) RegistryRequest(host string, status int, took time.Duration) {
	if !m.hosts[host] {
		host = otherLabel
	}
	class := "none"
	if status >= 100 && status < 600 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(host, class).Observe(took.Seconds())
}

// PoliciesLoaded records that policies were loaded at a time, and how many of
// them have a note that they verify less than they could (TRUST R19).
func (m *Metrics) PoliciesLoaded(policies []policy.Policy, at time.Time) {
	weak := 0
	for _, p := range policies {
		if slices.ContainsFunc(p.Notes, func(n policy.Note) bool { return n.Weakening }) {
			weak++
		}
	}
	m.policies.Set(float64(len(policies)))
	m.weakenings.Set(float64(weak))
	m.reloads.WithLabelValues("success").Inc()
	m.reloaded.Set(float64(at.Unix()))
}

// PoliciesFailed records that policies could not be loaded; the last good ones
// stay.
func (m *Metrics) PoliciesFailed() { m.reloads.WithLabelValues("failure").Inc() }

func (m *Metrics) decided(d door, outcome policy.Outcome, reason evidence.Reason) {
	if !m.reasons[reason] {
		reason = otherLabel
	}
	m.decisions.WithLabelValues(string(d), outcome.String(), string(reason)).Inc()
}

func (m *Metrics) answered(d door, allowed bool, took time.Duration) {
	m.answers.WithLabelValues(string(d), strconv.FormatBool(allowed)).Observe(took.Seconds())
}

func (m *Metrics) provided(d door, answered bool, took time.Duration) {
	m.provides.WithLabelValues(string(d), strconv.FormatBool(answered)).Observe(took.Seconds())
}

func (m *Metrics) panicked(d door) { m.panics.WithLabelValues(string(d)).Inc() }

// unmatched counts an image that no enforcing policy covers. The first maxNamespaces
// namespaces have a label of their own.
func (m *Metrics) unmatched(namespace string) {
	m.mu.Lock()
	namespace = bounded(m.namespaces, namespace, maxNamespaces)
	m.mu.Unlock()
	m.unverified.WithLabelValues(namespace).Inc()
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4})
}
