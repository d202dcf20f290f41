package server

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxExceptions bounds the label exception (TRUST R47): old ones are not
// forgotten, and each has a name of its own.
const maxExceptions = 200

// clusterMetrics say how the installation is, rather than what it decides.
type clusterMetrics struct {
	observeOnly prometheus.Gauge
	ready       *prometheus.GaugeVec
	synced      prometheus.Gauge
	unreadable  *prometheus.GaugeVec
	expires     prometheus.Gauge
	audited     prometheus.Gauge
	uncovered   *prometheus.GaugeVec
	exceptions  *prometheus.CounterVec
}

func newClusterMetrics() clusterMetrics {
	return clusterMetrics{
		observeOnly: gauge("observe_only", "1 if the admission webhooks admit everything, whatever is decided."),
		ready:       gauges("policy_objects", "Policies, exceptions and deny lists of the cluster, by kind and whether they are in force.", "kind", "ready"),
		synced:      gauge("policies_synced_timestamp_seconds", "Up to when the cluster's policies, and what they name, are known to be those of the API server; what is known stays in force however old it is."),
		unreadable:  gauges("policy_kind_unreadable", "1 for each kind of the cluster whose objects should be read and cannot be; those known stay in force.", "resource"),
		expires:     gauge("certificate_expiry_timestamp_seconds", "When the certificate of the webhooks expires."),
		audited:     gauge("audit_last_timestamp_seconds", "When running workloads were last decided anew, all of them."),
		uncovered:   gauges("uncovered_images", "Images of running workloads that no enforcing policy covers, by namespace, at the last audit.", "namespace"),
		exceptions:  counter("exception_uses_total", "Objects that an exception lifted a policy from, by exception. Dry runs are not counted.", "exception", "break_glass"),
	}
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: metricsNamespace, Name: name, Help: help}, labels)
}

func (c clusterMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{c.observeOnly, c.ready, c.synced, c.unreadable, c.expires, c.audited, c.uncovered, c.exceptions}
}

func (m *Metrics) observing(only bool) {
	value := 0.0
	if only {
		value = 1
	}
	m.cluster.observeOnly.Set(value)
}

// PolicyReady records how many objects of a kind are in force, and how many are
// not. kind is one of those that dialects read.
func (m *Metrics) PolicyReady(kind string, ready, notReady int) {
	m.cluster.ready.WithLabelValues(kind, "true").Set(float64(ready))
	m.cluster.ready.WithLabelValues(kind, "false").Set(float64(notReady))
}

// PoliciesSynced records up to when the cluster's policies are known, which may
// be the zero time, and which resources cannot be read, in place of those that
// were recorded before.
func (m *Metrics) PoliciesSynced(at time.Time, unreadable []string) {
	if !at.IsZero() {
		m.cluster.synced.Set(float64(at.Unix()))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cluster.unreadable.Reset()
	for _, resource := range unreadable {
		m.cluster.unreadable.WithLabelValues(resource).Set(1)
	}
}

// CertificateExpires records until when the certificate of the doors is valid.
func (m *Metrics) CertificateExpires(at time.Time) { m.cluster.expires.Set(float64(at.Unix())) }

// Audited records when running workloads were decided anew.
func (m *Metrics) Audited(at time.Time) { m.cluster.audited.Set(float64(at.Unix())) }

// Uncovered records how many images of running workloads no enforcing policy
// covers, by namespace, in place of what was recorded before. The namespaces
// with the most have labels of their own; the others are one.
func (m *Metrics) Uncovered(images map[string]int) {
	names := slices.SortedFunc(maps.Keys(images), func(a, b string) int {
		return cmp.Or(cmp.Compare(images[b], images[a]), cmp.Compare(a, b))
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cluster.uncovered.Reset()
	for i, name := range names {
		if i >= maxNamespaces {
			name = otherLabel
		}
		m.cluster.uncovered.WithLabelValues(name).Add(float64(images[names[i]]))
	}
}

// ExceptionUsed counts an object that an exception lifted a policy from.
func (m *Metrics) ExceptionUsed(name string, breakGlass bool) {
	m.mu.Lock()
	name = bounded(m.exceptions, name, maxExceptions)
	m.mu.Unlock()
	m.cluster.exceptions.WithLabelValues(name, strconv.FormatBool(breakGlass)).Inc()
}

// bounded returns the value of a label, or that of the rest once there are most
// others.
func bounded(known map[string]bool, value string, most int) string {
	if known[value] {
		return value
	}
	if len(known) >= most {
		return otherLabel
	}
	known[value] = true
	return value
}
