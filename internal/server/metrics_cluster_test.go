package server_test

import (
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/server"
)

// TestMetricsSayHowOldPoliciesAre: nothing before they were read once, and each
// kind that cannot be read only for as long as that is so.
func TestMetricsSayHowOldPoliciesAre(t *testing.T) {
	m := server.NewMetrics()
	s := newServer(t, each(allow), func(o *server.Options) { o.Metrics = m })
	m.PoliciesSynced(time.Time{}, []string{"clusterpolicies.kyverno.io", "namespaces"})
	wantMetric(t, s, "bonafide_policies_synced_timestamp_seconds 0\n", true)
	wantMetric(t, s, `bonafide_policy_kind_unreadable{resource="clusterpolicies.kyverno.io"} 1`+"\n", true)
	m.PoliciesSynced(time.Unix(1700000000, 0), []string{"namespaces"})
	wantMetric(t, s, "bonafide_policies_synced_timestamp_seconds 1.7e+09\n", true)
	wantMetric(t, s, `bonafide_policy_kind_unreadable{resource="namespaces"} 1`+"\n", true)
	wantMetric(t, s, "clusterpolicies.kyverno.io", false)
}
