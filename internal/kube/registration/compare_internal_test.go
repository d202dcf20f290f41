package registration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func named(names ...string) []webhook {
	var all []webhook
	for _, name := range names {
		all = append(all, webhook{"name": name})
	}
	return all
}

func TestCompare(t *testing.T) {
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("webhooks[%02d] (missing)", i))
	}
	cases := map[string]struct {
		have, want []webhook
		fields     []string
	}{
		"Same":    {have: named("a", "b"), want: named("a", "b")},
		"Order":   {have: named("b", "a"), want: named("a", "b"), fields: []string{"webhooks (order)"}},
		"Missing": {have: named("a"), want: named("a", "b"), fields: []string{"webhooks[b] (missing)"}},
		"Added":   {have: named("a", "b"), want: named("a"), fields: []string{"webhooks[b] (added)"}},
		"Bounded": {want: named(numbers(20)...), fields: append(slices.Clone(many[:maxFields]), "and 8 more")},
		"Deep": {
			have: []webhook{{"name": "a", "clientConfig": map[string]any{"service": map[string]any{"name": "x", "port": 1}}}},
			want: []webhook{{"name": "a", "clientConfig": map[string]any{"service": map[string]any{"name": "x", "port": 2}}}}, fields: []string{"webhooks[a].clientConfig.service.port"},
		},
		"OneHasNone": {
			have: []webhook{{"name": "a", "matchConditions": []any{"x"}}}, want: named("a"), fields: []string{"webhooks[a].matchConditions"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fields, bundles := compare(tc.have, tc.want)
			if diff := cmp.Diff(tc.fields, fields); diff != "" || bundles != nil {
				t.Errorf("-want +got:\n%s and bundles %q", diff, bundles)
			}
		})
	}
}

func numbers(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%02d", i))
	}
	return all
}

func TestBundlesAreToldApart(t *testing.T) {
	with := func(bundle string) []webhook {
		return []webhook{{"name": "a", "clientConfig": map[string]any{"url": "https://example.com", "caBundle": bundle}}}
	}
	fields, bundles := compare(with("old"), with("new"))
	if diff := cmp.Diff([]string{"old"}, bundles); diff != "" || fields != nil {
		t.Errorf("want the bundle alone (-want +got):\n%s and fields %q", diff, fields)
	}
}

func TestEditorIsTheLastBesideUs(t *testing.T) {
	at := func(manager string, second int64) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: &metav1.Time{Time: time.Unix(second, 0)}}
	}
	cases := map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    string
	}{
		"Nobody":    {nil, ""},
		"We":        {[]metav1.ManagedFieldsEntry{at(fieldManager, 1)}, ""},
		"WeLast":    {[]metav1.ManagedFieldsEntry{at("kubectl-edit", 1), at(fieldManager, 2)}, "kubectl-edit"},
		"Newer":     {[]metav1.ManagedFieldsEntry{at("new", 2), at("old", 1)}, "new"},
		"NewerLast": {[]metav1.ManagedFieldsEntry{at("old", 1), at("new", 2)}, "new"},
		"NoTime":    {[]metav1.ManagedFieldsEntry{{Manager: "strange"}}, "strange"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := editor(&metav1.ObjectMeta{ManagedFields: tc.entries}); got != tc.want {
				t.Errorf("want %q, got %q", tc.want, got)
			}
		})
	}
}
